"""From what a manifest says of an image and its mask to a record with digests. Never torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nst.errors import InputError
from nst.manifest.blocks import is_color
from nst.records import ImageRef, MaskRef
from tasks.inputs.digests import find_images
from tasks.inputs.manifest_text import unique
from tasks.store import Stat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.inputs.digests import Base, Digests


@dataclass(frozen=True, slots=True)
class Found:
    """An image of a manifest; without `image`, a mask alone. A mask that is text is a colour."""

    name: str
    image: Stat | None
    mask: Stat | str | None


def find_mask(mask: str | None, base: Base) -> Stat | str | None:
    """Return the label image that a mask names, or its colour.

    Raises:
        InputError: There is none, or several.
    """
    return mask if mask is None or is_color(mask) else find_one(mask, base, "as a mask")


def find_one(uri: str, base: Base, what: str) -> Stat:
    """Return the one image that a URI names.

    Raises:
        InputError: There is none, or several.
    """
    found = find_images(uri, base)
    if len(found) > 1:
        raise InputError(f"{uri} names {len(found)} images, expected one {what}")
    return found[0]


def image_refs(images: Sequence[Found], digests: Digests) -> list[ImageRef]:
    """Return the images with their digests, under unique names."""
    stats = [stat for one in images for stat in (one.image, one.mask) if isinstance(stat, Stat)]
    known = dict(zip((stat.key for stat in stats), digests.of(stats), strict=True))
    refs = []
    for name, one in zip(unique([one.name for one in images]), images, strict=True):
        mask = MaskRef(one.mask.key, known[one.mask.key]) if isinstance(one.mask, Stat) else None
        mask = MaskRef(one.mask, one.mask) if isinstance(one.mask, str) else mask
        place = (one.image.key, known[one.image.key], one.image.size) if one.image else ("", "", 0)
        refs.append(ImageRef(name, *place, mask))
    return refs
