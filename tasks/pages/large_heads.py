"""Inputs as large as the pictures that they are compared with, beside a page: it loads one when somebody looks at it.

The small pictures that the page carries for its headings have too few pixels to be compared with a large picture, and
the files of the inputs themselves may lie where no browser can read them.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from nst.pictures.images import resize
from tasks.pages.sheet_drawing import montage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np

    from nst.config.method import Method
    from nst.planning.cells import Cells
    from tasks.store import Store

MOST_PX: Final = 4096
"""The longest side of a large head in pixels."""

FOLDER: Final = "inputs"
"""Beside the page."""

_QUALITY: Final = 90


class LargeHeads:
    """Writes large heads.

    Args:
        put: Writes a file beside the page, given its name and its bytes.
        side: The long side of the largest picture of the page, in pixels.

    Attributes:
        links: The files that there are, by the name of the input, for the kinds `content` and `style`.
    """

    def __init__(self, put: Callable[[str, bytes], object], side: int) -> None:
        self.links: dict[str, dict[str, str]] = {"content": {}, "style": {}}
        self._put, self._side = put, min(side, MOST_PX)

    def keep(self, kind: str, name: str, pictures: Sequence[np.ndarray], small: int) -> None:
        """Write an input, a mix as all of its images, unless its small head shows as many pixels.

        Args:
            kind: `content` or `style`.
            name: Name of the input.
            pictures: Its images, HWC uint8 RGB.
            small: The long side of its small head in pixels.
        """
        longest = max(max(picture.shape[:2]) for picture in pictures)
        if min(self._side, longest) <= small:
            return
        shown = montage(pictures, self._side)
        shown = resize(shown, self._side) if max(shown.shape[:2]) > self._side else shown
        out = BytesIO()
        Image.fromarray(shown).save(out, "JPEG", quality=_QUALITY, subsampling=0)
        file = f"{FOLDER}/{hashlib.sha256(out.getvalue()).hexdigest()[:32]}.jpg"
        self._put(file, out.getvalue())
        self.links[kind][name] = file


def putting_into(store: Store, folder: str) -> Callable[[str, bytes], None]:
    """Return what writes files below a prefix of a store, those that are there already excepted."""
    known = {stat.key for stat in store.list(f"{folder}/{FOLDER}/")}

    def put(file: str, data: bytes) -> None:
        if f"{folder}/{file}" not in known:
            store.put(f"{folder}/{file}", data)

    return put


def largest_of_plan(cells: Cells) -> int:
    """Return the longest side that a picture of a plan may have; `MOST_PX` where its inputs or a network decide."""
    configs = [cells.structure_config(structure) for structure in range(len(cells.variants.first))]
    return MOST_PX if any(map(_is_open_ended, configs)) else max(config.side for config in configs)


def _is_open_ended(config: Method) -> bool:
    """Return whether the settings alone do not bound the longest side; not every method has each of these settings."""
    by_its_short_side = getattr(config, "resize", "long") == "short"
    return config.takes_original_size or by_its_short_side or getattr(config, "finish", None) is not None


def largest_of_rows(rows: Iterable[Mapping[str, Any]]) -> int:
    """Return the longest side of the pictures of rows; 0 without any."""
    sides = (row.get(name) for row in rows for name in ("picture_width", "picture_height"))
    return int(max((side for side in sides if side is not None), default=0))
