"""The losses, each per image, and the objective made of them. Knows no method."""
