"""The gallery: one static page per sweep that compares its pictures; opens from a folder or a bucket."""

from tasks.pages.gallery.columns import update_of
from tasks.pages.gallery.gallery import build_gallery, side_of_heads

__all__ = ["build_gallery", "side_of_heads", "update_of"]
