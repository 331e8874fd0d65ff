"""Photographs prepared for training once: decoded, resized, cropped and shuffled into one uint8 array on this machine.

Training reads each photograph many times; decoding it every time would cost more than a step of a small network. The
array lies in the user's cache folder under a name made of the photographs' digests and the size, so that every training
of the machine on the same photographs shares it. Losing it costs only preparing it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from nst.errors import InputError
from nst.pictures.images import decode, resize
from nst.yaml.json_text import from_json
from tasks.inputs.reading import read_image
from tasks.work import beats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.records import ImageRef

_VERSION: Final = 1
"""Raised when the preparation changes: part of the folder's name."""

_THREADS: Final = 8
_ASIDE: Final = ".making-"
_ABANDONED_S: Final = 24 * 3600
"""Age at which an unfinished dataset counts as left by a killed process."""

_AT_ONCE: Final = 64
"""Photographs decoded before any is written, a bound on memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Prepared photographs.

    Attributes:
        array: Shape (N, size, size, 3), uint8 RGB, mapped from a file, in the order of training.
        skipped: One message for each file that is not a picture.
    """

    array: np.ndarray
    skipped: tuple[str, ...]


def cache_folder() -> Path:
    """Return `nst/datasets` in the user's cache folder (XDG)."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "nst" / "datasets"


def prepare_dataset(
    photographs: Sequence[ImageRef],
    size: int,
    *,
    folder: Path | None = None,
) -> Dataset:
    """Return the photographs as squares, made now or by an earlier training.

    Each picture's short side becomes `size`, and the middle is kept. The order follows from the digests of the files,
    which are as good as random numbers: it is the same on every machine and needs no seed. A file that occurs twice
    counts once; one that is not a picture is left out.

    Args:
        photographs: In any order.
        size: Side of the squares in pixels.
        folder: Where prepared datasets lie; by default `cache_folder()`.

    Raises:
        InputError: None of the files is a picture, or one has changed since it was identified.
    """
    unique = {ref.digest: ref for ref in photographs}
    refs = [unique[digest] for digest in sorted(unique)]
    text = json.dumps([_VERSION, size, sorted(unique)])
    place = (folder or cache_folder()) / hashlib.sha256(text.encode()).hexdigest()[:32]
    if not place.is_dir():
        _make(refs, size, place)
    about = from_json((place / "about.json").read_text())
    return Dataset(np.load(place / "photographs.npy", mmap_mode="r"), tuple(about["skipped"]))


def _make(refs: Sequence[ImageRef], size: int, place: Path) -> None:
    """Write the dataset under a hidden name and rename it when it is complete."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f"{_ASIDE}*"):
        if time.time() - left.stat().st_mtime > _ABANDONED_S:  # its process was killed
            shutil.rmtree(left, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=place.parent))
    try:
        with (aside / "photographs.npy").open("wb") as file:
            skipped = _write(file, refs, size)
        (aside / "about.json").write_text(json.dumps({"size": size, "skipped": skipped}))
        try:
            aside.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was quicker
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(file: BinaryIO, refs: Sequence[ImageRef], size: int) -> list[str]:
    """Write the squares as an .npy file; return a message for each file that is not a picture."""
    count = 0
    skipped: list[str] = []
    begin = _write_header(file, len(refs), size)
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(refs), _AT_ONCE):
            chunk = refs[start : start + _AT_ONCE]
            for square in threads.map(lambda ref: _square(ref, size), chunk):
                beats.moved()  # a hundred thousand photographs take hours
                if isinstance(square, str):
                    skipped.append(square)
                else:
                    file.write(square.tobytes())
                    count += 1
    if not count:
        what = f"none of {len(refs)} photographs is a picture; the first: {skipped[0]}" if refs else "no photographs"
        raise InputError(what, hint="check `photographs`")
    file.seek(0)
    assert _write_header(file, count, size) == begin  # numpy pads it so that the count may change
    file.flush()
    os.fsync(file.fileno())
    return skipped


def _write_header(file: BinaryIO, count: int, size: int) -> int:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _square(ref: ImageRef, size: int) -> np.ndarray | str:
    """Return the middle square of a photograph, or a message that says why the file is not a photograph."""
    if ref.fault:
        return ref.fault
    data = read_image(ref)
    try:
        array = decode(data)
        # The long side of a ribbon would explode; a picture thinner than 1:4 is no photograph to learn from.
        if max(array.shape[:2]) > 4 * min(array.shape[:2]):
            return f"{ref.uri}: {array.shape[1]} x {array.shape[0]} pixels is too thin for a photograph"
        array = resize(array, size, "short")
    except InputError as error:
        return f"{ref.uri}: {error.message}"
    top, left = (array.shape[0] - size) // 2, (array.shape[1] - size) // 2
    return np.ascontiguousarray(array[top : top + size, left : left + size])
