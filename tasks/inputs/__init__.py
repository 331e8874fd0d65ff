"""What a manifest names: its own text, images by URI, glob or prefix, and their digests. Inputs are only read."""
