"""The sizes of a cell's picture, and whether the layers that look at it are content with them. Never torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.architectures import deepest, least_side
from nst.errors import InputError
from nst.pictures.images import original_size, target_size

if TYPE_CHECKING:
    from collections.abc import Collection

    from nst.config.backbone import BackboneConfig
    from nst.config.method import Method, PixelMethod


def size_after(config: Method, width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the picture in pixels, given those of the content or of the mask in its place.

    Raises:
        InputError: The picture would have too many pixels.
    """
    if config.canvas:
        return config.canvas
    if config.takes_original_size:
        return original_size(width, height)
    return target_size(width, height, config.size, config.resize)


def levels_of(config: PixelMethod, width: int, height: int) -> list[tuple[int, int, int]]:
    """Return (width, height, steps) of every level, coarse to fine, of a picture of this size in pixels."""
    return [
        (max(1, round(width * scale)), max(1, round(height * scale)), steps)
        for scale, steps in config.pyramid.schedule(config.steps)
    ]


def too_thin(
    what: str, size: tuple[int, int], layers: Collection[str], backbone: BackboneConfig, *, patch: int = 1
) -> InputError | None:
    """Return an error for an image whose feature map at the deepest of the layers is too small, or None.

    Args:
        what: Word for the image: `content`, `style`, `new`, ...
        size: Width and height of the image in pixels at its smallest size.
        layers: The layers that look at the image.
        backbone: Settings of the backbone.
        patch: Smallest side that the feature maps need, in positions.

    Example:
        >>> too_thin("content", (64, 10), ["relu4_1"], GatysConfig().backbone) is None  # 8 pixels a position
        True
    """
    try:
        layer = deepest(backbone.name, layers)
    except InputError as error:
        return error
    # Padding other than zeros needs two positions.
    needed = least_side(backbone.name, layer, max(patch, 1 if backbone.padding == "zeros" else 2))
    if min(size) >= needed:
        return None
    return InputError(
        f"the {what} image is {size[0]} x {size[1]} pixels at its smallest size; {layer} needs {needed}",
        hint="raise size, lower pyramid.levels, or choose shallower layers",
    )
