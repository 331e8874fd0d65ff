"""How wide the strokes of a painting become in the pictures of a sweep: what `style_scale` and the size come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst.config.method import PixelMethod
from nst.pictures.fitting import size_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nst.config.method import Method
    from nst.records import ImageRef, StyleRef


def stroke_widths(
    configs: Iterable[Method], contents: Iterable[ImageRef | None], styles: Iterable[StyleRef | None]
) -> tuple[float, float] | None:
    """Return how many pixels of its picture one pixel of a painting becomes, at least and at most.

    None where no method scales paintings, or no image's size is known.

    Args:
        configs: Settings of the structures of a sweep.
        contents: Its contents; planning has refused those that make too large a picture.
        styles: Its styles; each is taken with each content, whether or not they are paired.
    """
    sizes = {content.size for content in contents if content and content.size}
    shares = {share for style in styles if style for share in _scales_by_side(style)}
    scaled = {_scaling(config): config for config in configs if isinstance(config, PixelMethod)}
    sides = [
        max(size_after(config, *size)) * scale
        for (*_, scale), config in scaled.items()
        if scale is not None
        for size in sizes
    ]
    return (min(sides) * min(shares), max(sides) * max(shares)) if sides and shares else None


def _scaling(config: Method) -> tuple[Any, ...]:
    """Return what the size of a painting hangs on beside the images, `style_scale` last: structures share it."""
    return (config.name, *(getattr(config, name, None) for name in ("size", "resize", "canvas", "style_scale")))


def _scales_by_side(style: StyleRef) -> Iterator[float]:
    """Yield the scale of each image of a style, divided by its long side in pixels."""
    scales = style.scales or (1.0,) * len(style.images)
    return (scale / max(image.size) for scale, image in zip(scales, style.images, strict=True) if image.size)
