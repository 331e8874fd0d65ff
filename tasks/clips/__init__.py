"""Clips: what they hold, their frames as arrays, and files made of frames. Nothing here computes on pictures.

Containers are read and written with PyAV, which is the extra `video` and is imported when the first clip needs it;
GIF, animated WebP and animated PNG with Pillow, which is always there.
"""
