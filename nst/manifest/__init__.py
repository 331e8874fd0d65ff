"""The manifest: what a user may write, checked to the last value, and every point of its axes. Never imports torch."""
