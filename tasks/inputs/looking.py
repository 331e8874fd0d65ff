"""What planning sees in local pictures: the size of an image from its header, and the regions of a mask.

It is remembered beside the digests (`tasks.inputs.digests`), faults excepted: another version of a decoder may read
what this one refuses. Objects and links are not looked at, since the bytes that a digest takes are not kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from nst.pictures.decoding import measure
from nst.pictures.images import decode
from nst.pictures.masks import read_labels
from tasks.store.opening import locate

if TYPE_CHECKING:
    from tasks.inputs.digests import Digests
    from tasks.store import Stat

_LARGEST_MASK: Final = 2**24
"""Pixels of a mask that is read when a run is planned; a larger one takes seconds."""

_WRITTEN: Final = re.compile(r"(\d{1,6})x(\d{1,6})((?: #[0-9a-f]{6})*)")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a picture.

    Attributes:
        size: Width and height in pixels, upright; None where it was not looked at.
        colors: The colours of the regions of a mask, the largest region first.
        fault: Why it is no picture or no mask; it begins with its name.
    """

    size: tuple[int, int] | None = None
    colors: tuple[str, ...] = ()
    fault: str = ""

    def __str__(self) -> str:
        """Return what is remembered of it."""
        return " ".join(("{}x{}".format(*self.size) if self.size else "", *self.colors))

    @classmethod
    def of(cls, text: str) -> Seen | None:
        """Return what `str` gave, or None for anything else."""
        if not (found := _WRITTEN.fullmatch(text)):
            return None
        return cls((int(found[1]), int(found[2])), tuple(found[3].split()))


def look_at_image(stat: Stat, digests: Digests) -> Seen:
    """Return the size of a local image, or its fault; of any other nothing."""
    if known := Seen.of(digests.seen(stat)):
        return known
    location = locate(stat.key)
    if not location.is_local:
        return Seen()
    try:
        with Path(location.path).expanduser().open("rb") as file:
            seen = Seen(measure(file))
    except InputError as error:
        return Seen(fault=_told(stat, error))
    except OSError:  # it vanished since its digest was taken, which the run tells
        return Seen()
    if seen.size:
        digests.note(stat, str(seen))
    return seen


def look_at_mask(stat: Stat, digest: str, digests: Digests) -> Seen:
    """Return the size and the regions of a local mask with this digest, or its fault; of any other nothing."""
    known = Seen.of(digests.seen(stat))
    if known and known.colors:
        return known
    seen = look_at_image(stat, digests)
    if not seen.size or seen.size[0] * seen.size[1] > _LARGEST_MASK:
        return seen
    try:
        array = decode(Path(locate(stat.key).path).expanduser().read_bytes())
        labels = read_labels(digest, array)
    except InputError as error:
        return Seen(fault=_told(stat, error))
    except OSError:
        return seen
    seen = Seen((array.shape[1], array.shape[0]), labels.colors)
    digests.note(stat, str(seen))
    return seen


def _told(stat: Stat, error: InputError) -> str:
    return f"{stat.key}: {error}"
