"""What a clip holds, kept below the root by the digest of its file: finding it out means decoding the whole clip."""

from __future__ import annotations

import contextlib
import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nst.errors import NstError
from nst.yaml.json_text import from_json
from tasks.clips.probe import ClipInfo, probe
from tasks.layout import clip_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.store import Store


def kept_info(store: Store, digest: str, name: str, read: Callable[[], bytes]) -> ClipInfo:
    """Return what a clip holds.

    Args:
        store: The objects of the root.
        digest: SHA-256 of its bytes in hexadecimal digits.
        name: What errors call it.
        read: Returns its bytes; called only where nothing is kept.

    Raises:
        InputError: As `probe`.
    """
    key = clip_key(digest)
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        return _from(from_json(store.get(key)))
    info = probe(read(), name)
    with contextlib.suppress(NstError, OSError):  # a store that refuses costs only time
        store.put(key, json.dumps(_about(info)).encode())
    return info


def _about(info: ClipInfo) -> dict[str, Any]:
    return {
        "width": info.width,
        "height": info.height,
        "times": info.times,
        "time_base": str(info.time_base),
        "rate": str(info.rate),
        "audio": info.audio,
        "container": info.container,
        "own_times": info.own_times,
    }


def _from(kept: Any) -> ClipInfo:
    """Return what is kept.

    Raises:
        ValueError, KeyError, TypeError: It is something else.
    """
    times = tuple(map(int, kept["times"]))
    if not times:
        raise ValueError("no frame")
    fractions = (Fraction(kept["time_base"]), Fraction(kept["rate"]))
    return ClipInfo(
        int(kept["width"]), int(kept["height"]), times, *fractions, int(kept["audio"]), str(kept["container"]),
        bool(kept["own_times"]),
    )  # fmt: skip
