"""Trained networks and weights, below a root or elsewhere: chosen, read, written, imported, run on one file."""
