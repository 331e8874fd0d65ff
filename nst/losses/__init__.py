"""What is minimised: content, style and total variation, each per image. Knows no method."""
