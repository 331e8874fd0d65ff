"""Writes a finished clip: its file, what the page shows of it, and what its row says of how steady it is."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import tempfile
from collections import deque
from itertools import pairwise
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from nst.config.terms import TERMS
from nst.errors import InputError
from nst.motion.measures import drift, tof, warping_error
from nst.pictures.images import decode
from tasks.clips.preview import animated_preview, preview_frames
from tasks.clips.writing import write_clip
from tasks.layout import picture_key, thumbnail_key
from tasks.work import beats
from tasks.work.clip_copies import write_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from nst.config.fields import ClipFormat
    from tasks.root import Root
    from tasks.work.clip_made import ClipMade

CONTAINERS: Final[dict[ClipFormat, tuple[str, ...]]] = {
    "h264": ("mp4", "mkv"), "vp9": ("mp4", "mkv"), "av1": ("mp4", "mkv"), "ffv1": ("mkv",), "gif": ("gif",),
    "webp": ("webp",),
}  # fmt: skip
"""Containers by the encoding of clips: the first that can hold the sound and the times of the content. MP4 keeps times
exactly, Matroska holds every kind of sound."""

LONG: Final = 10
"""Distance in frames of the pairs of the long-term warping error (Wang et al. 2020; Deng et al. 2021)."""

_MEASURED: Final = 8
"""Most frames of a clip of which the metrics of stills are taken."""


def clip_columns(root: Root, made: ClipMade, measure: Callable[[np.ndarray, int], dict[str, float]]) -> dict[str, Any]:
    """Write the clip, its thumbnail and copies for the page; return the columns about them, the losses and the metrics.

    Args:
        root: Where the clip goes.
        made: The clip, whose frames are written.
        measure: Returns the metrics of a frame, given its picture and its number.
    """
    clip = made.source.clip
    data, form = _written(root, made)
    digest = hashlib.sha256(data).hexdigest()
    key, small = picture_key(digest, form), thumbnail_key(digest)
    root.store.put(key, data)
    root.store.put(small, _preview(root, made))
    write_copies(root.store, made.source, digest, form, _pictures(root, made))
    first = next(_pictures(root, made))
    return {
        **_mean_losses(made),
        **_metrics(root, made, measure),
        **_steadiness(root, made),
        "clip_frames": len(made.frames),
        "clip_first": clip.clip.first,
        "clip_last": clip.clip.last,
        "clip_every": clip.clip.every,
        "clip_seconds": _seconds(made),
        "clip_shots": len(made.shots),
        "steps_done": made.steps,
        "picture_uri": root.store.url(key),
        "picture_digest": digest,
        "picture_bytes": len(data),
        "picture_width": first.shape[1],
        "picture_height": first.shape[0],
        "picture_format": form,
        "picture_alpha": False,
        "thumbnail_uri": root.store.url(small),
    }


def _written(root: Root, made: ClipMade) -> tuple[bytes, str]:
    """Return the bytes of the clip's file, and the name of its container: the first that can hold everything.

    A clip whose sound no container holds, or whose sound is damaged, is written without sound.

    Raises:
        InputError: No container can hold it.
    """
    clip = made.source.clip
    ways = list(itertools.product((True, False) if clip.has_sound else (False,), CONTAINERS[clip.clip.form]))
    for has_sound, container in ways[:-1]:
        with contextlib.suppress(InputError):
            return _encoded(root, made, container, has_sound=has_sound), container
    has_sound, container = ways[-1]
    return _encoded(root, made, container, has_sound=has_sound), container


def _encoded(root: Root, made: ClipMade, container: str, *, has_sound: bool) -> bytes:
    """Return the clip in a container, with the sound of the content or without.

    Raises:
        InputError: The container cannot hold the sound or the times.
    """
    clip = made.source.clip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"clip.{container}"
        write_clip(
            _pictures(root, made),
            clip.times,
            clip.time_base,
            clip.clip.form,
            file,
            end=clip.end,
            audio_from=clip.data if has_sound else None,
            audio_within=clip.span,
        )
        return file.read_bytes()


def _pictures(root: Root, made: ClipMade) -> Iterator[np.ndarray]:
    """Yield the frames of a clip in order, HWC uint8 RGB."""
    for row in made.frames:
        yield _picture(root, row)


def _picture(root: Root, row: dict[str, Any]) -> np.ndarray:
    beats.moved()  # all that is written and measured of a clip reads its frames one after the other
    return decode(root.store.get(picture_key(row["picture_digest"], "png")))


def _preview(root: Root, made: ClipMade) -> bytes:
    """Return the moving thumbnail of the clip."""
    clip, shown = made.source.clip, preview_frames(len(made.frames))
    moments = [clip.times[index] * clip.time_base for index in shown]
    pictures = (_picture(root, made.frames[index]) for index in shown)
    return animated_preview(pictures, moments, clip.end * clip.time_base)


def _seconds(made: ClipMade) -> float:
    """Return the duration of a clip."""
    clip = made.source.clip
    return float((clip.end - clip.times[0]) * clip.time_base)


def _mean_losses(made: ClipMade) -> dict[str, float]:
    found = {}
    for name in ("loss", *(f"{term}_loss" for term in TERMS)):
        values = [row[name] for row in made.frames if row.get(name) is not None]
        if values:
            found[name] = fmean(values)
    return found


def _metrics(root: Root, made: ClipMade, measure: Callable[[np.ndarray, int], dict[str, float]]) -> dict[str, float]:
    """Return the means of the metrics of stills over some frames that are spread over the clip."""
    stride = -(-len(made.frames) // _MEASURED)
    rows = [measure(_picture(root, row), row["frame"]) for row in made.frames[::stride]]
    means = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None]
        if values:
            means[name] = fmean(values)
    return means


def _steadiness(root: Root, made: ClipMade) -> dict[str, Any]:
    """Return how steady a clip is, over pairs of frames of one shot; nulls where there is no such pair."""
    rows = {row["frame"]: row for row in made.frames}
    columns: dict[str, Any] = {
        name: _mean([(row[name], 1) for row in made.frames]) for name in ("warping_error", "source_warping_error")
    }
    if _picture(root, made.frames[0]).shape != made.source.frame(made.frames[0]["frame"]).shape:
        return columns  # a network that enlarges: its frames have no pixel in common with the content's
    long, flickers, drifts = [], [], []
    for shot in made.shots:
        long += list(_long_errors(root, made, shot))
        flickers.append((tof((_picture(root, rows[n]) for n in shot), map(made.source.frame, shot)), len(shot) - 1))
        flows = (made.source.motion(number, before)[0] for before, number in pairwise(shot))
        still = drift((_picture(root, rows[n]) for n in shot), map(made.source.frame, shot), flows)
        drifts.append((still, len(shot) - 1))
    return columns | {
        "warping_error_long": _mean([(own, 1) for own, _ in long]),
        "source_warping_error_long": _mean([(floor, 1) for _, floor in long]),
        "tof": _mean(flickers),
        "drift": _mean(drifts),
    }


def _long_errors(root: Root, made: ClipMade, shot: list[int]) -> Iterator[tuple[float, float]]:
    """Yield the warping errors of pairs of frames that lie `LONG` apart, each with that of the content."""
    rows = {row["frame"]: row for row in made.frames}
    recent: deque[np.ndarray] = deque(maxlen=LONG + 1)
    for place, number in enumerate(shot):
        recent.append(_picture(root, rows[number]))
        if place >= LONG:
            start = shot[place - LONG]
            flow, weights = made.source.motion(start, number)
            floor = warping_error(made.source.frame(start), made.source.frame(number), flow, weights)
            yield warping_error(recent[0], recent[-1], flow, weights), floor


def _mean(weighted: Sequence[tuple[float | None, int]]) -> float | None:
    """Return the weighted mean of the values that are there and are finite; None if there is none."""
    found = [(value, weight) for value, weight in weighted if value is not None and isfinite(value) and weight]
    return sum(value * weight for value, weight in found) / sum(weight for _, weight in found) if found else None
