"""What a manifest names: images by URI, glob or prefix, masks, weights, and their digests. Inputs are only read."""
