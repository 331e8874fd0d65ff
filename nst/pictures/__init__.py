"""Pictures as arrays: decoding, sizes, colours, masks, and metrics that need no network."""
