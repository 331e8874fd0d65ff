"""Pictures as arrays: decoding and encoding, sizes, colours, masks, and metrics that need no network."""
