"""Optimisation of pixels: batched L-BFGS and Adam, and the loop that feeds them."""
