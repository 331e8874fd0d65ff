"""Proof that a root holds what its catalog says: segments, claims, pictures, models."""
