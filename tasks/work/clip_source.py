"""The frames of a clip at the size at which they are stylized, and the motion between them; kept on this machine.

Decoding and motion cost much less than stylization, but a sweep asks for them once for each of its batches. They are
kept in the user's cache, by the digest of the clip, the size and the version of clips; the folders that
were used last stay, up to `MOST_BYTES`. What is kept is rounded when it is made, so that it makes no difference whether
it was kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nst.config.video import VERSION
from nst.motion.consistency import consistency, cut
from nst.motion.flow import estimator
from nst.motion.likeness import likeness
from nst.motion.still import at_rest
from nst.motion.warp import warp
from nst.pictures.images import Pixels, decode, resize_to
from nst.recent import Recent
from nst.workspace import FrameBefore
from tasks.clips.keeping import kept_info
from tasks.clips.reading import frames as decoded_frames
from tasks.inputs.digests import MOST_BYTES as MOST_CLIP_BYTES
from tasks.inputs.reading import naming, read_planned
from tasks.models.flow_weights import flow_weights
from tasks.work import beats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nst.config.flow import FlowPreset
    from nst.records import ImageRef
    from tasks.clips.probe import ClipInfo
    from tasks.store import Store

MOST_BYTES: Final = 4 * 2**30
"""Bytes of the cache beyond which the folders that were used longest ago are removed."""

_ROOM: Final = 2**28
"""Bytes of frames and motion that are kept in memory."""

_SHOT_STRIDE: Final = 8
_SHOT_FRAMES: Final = 8
"""Every how many frames a frame is taken for the statistics of a shot, and how many at most (Wang et al. 2020)."""


class Clip:
    """A clip with its file in memory.

    Args:
        ref: The content.
        data: The bytes of its file; None for a sequence of stills.
        info: What the file holds; None for a sequence of stills.

    Attributes:
        numbers: The numbers of its selected frames.
        times: The presentation time of each selected frame, in units of `time_base`.
        time_base: Seconds.
        end: When the last selected frame ends, in the same units.
        span: From when to when in seconds the selected frames are shown; None for the whole clip.
        has_sound: Whether it has an audio track.
    """

    def __init__(self, ref: ImageRef, data: bytes | None, info: ClipInfo | None) -> None:
        assert ref.clip is not None, "a still is no clip"
        self.ref, self.clip, self.data, self._info = ref, ref.clip, data, info
        self.numbers = self.clip.frames
        self.has_sound = info is not None and info.audio > 0
        times: Sequence[int]
        if info is None:
            self.time_base = 1 / Fraction(self.clip.rate).limit_denominator(100_000)
            times = range(len(self.clip.stills))
        else:
            self.time_base, times = info.time_base, info.times
        self.times = [times[number] for number in self.numbers]
        after = self.numbers[-1] + self.clip.every
        step = (
            self.times[-1] - self.times[-2] if len(self.times) > 1 else max(1, round(Fraction(1, 24) / self.time_base))
        )
        self.end = times[after] if after < len(times) else self.times[-1] + step
        whole = self.numbers[0] == 0 and self.numbers[-1] + self.clip.every >= len(times)
        self.span = None if whole else (self.times[0] * self.time_base, self.end * self.time_base)

    @classmethod
    def planned(cls, ref: ImageRef, store: Store) -> Clip:
        """Return a clip that was identified when the run was planned.

        Args:
            ref: The content.
            store: The objects of the root.

        Raises:
            InputError: Its file has changed since, or cannot be read.
        """
        assert ref.clip is not None, "a still is no clip"
        if ref.clip.stills:
            return cls(ref, None, None)
        data = read_planned(ref.link or ref.uri, ref.digest, max_bytes=MOST_CLIP_BYTES)
        return cls(ref, data, kept_info(store, ref.digest, ref.uri, lambda: data))

    def decoded(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield frames with their numbers, HWC uint8 RGB at their own size."""
        if self.data is not None:
            with naming(self.ref.uri):
                yield from decoded_frames(self.data, numbers, self._info)
            return
        for number in numbers:
            still = self.clip.stills[number]
            with naming(f"frame {number}, {still.uri}"):
                yield number, decode(read_planned(still.link or still.uri, still.digest))


class ClipSource:
    """The frames of a clip at one size, and the motion between them.

    Args:
        clip: The clip.
        size: Width and height in pixels.
        preset: How motion is found.
        device: Where a network that finds it computes.
    """

    def __init__(self, clip: Clip, size: tuple[int, int], preset: FlowPreset, device: str) -> None:
        self.clip, self.size, self._preset = clip, size, preset
        self._find = estimator(preset, flow_weights(preset), device)
        width, height = size
        self._folder = cache_folder() / f"{clip.ref.digest[:32]}-{width}x{height}-{VERSION}"
        self._memory: Recent[np.ndarray] = Recent(_ROOM, lambda array: array.nbytes)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            os.utime(self._folder)
            trim(self._folder.parent, keep=self._folder)
        missing = [number for number in clip.numbers if not self._path(f"frame-{number}").exists()]
        for number, array in clip.decoded(missing):
            beats.moved()
            self._keep(f"frame-{number}", np.ascontiguousarray(resize_to(array, width, height)))

    def frame(self, number: int) -> np.ndarray:
        """Return a frame, (H, W, 3) uint8 RGB."""

        def decode_again() -> np.ndarray:
            ((_, array),) = self.clip.decoded([number])
            return np.ascontiguousarray(resize_to(array, *self.size))

        return self._get(f"frame-{number}", decode_again)

    def pixels(self, number: int) -> Pixels:
        """Return a frame as methods take it, with an identity of its own."""
        return Pixels(f"{self.clip.ref.digest}#{number}", self.frame(number))

    def motion(self, here: int, there: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the positions of a frame are found in another one, and how certain that is.

        Args:
            here: Number of the frame.
            there: Number of the other frame.

        Returns:
            Displacements in pixels, (H, W, 2) float32, and weights in [0, 1], (H, W) float32.
        """
        name = f"motion-{self._preset}-{here}-{there}"

        def compute() -> np.ndarray:
            first, second = self.frame(here), self.frame(there)
            forth = at_rest(self._find(first, second), first, second)
            back = at_rest(self._find(second, first), second, first)
            kept = [
                np.concatenate([flow, consistency(flow, other)[..., None]], axis=2).astype(np.float16)
                for flow, other in ((forth, back), (back, forth))
            ]
            self._keep(f"motion-{self._preset}-{there}-{here}", kept[1])
            return kept[0]

        found = self._get(name, compute).astype(np.float32)
        return found[..., :2], found[..., 2]

    def brought(self, picture_HW3: np.ndarray, here: int, there: int) -> FrameBefore:
        """Return a stylized frame brought to another one, with how certain that is.

        Args:
            picture_HW3: What was made of frame `there`, uint8 RGB of this size.
            here: Number of the frame that it is brought to.
            there: Number of its own frame.
        """
        flow, weights = self.motion(here, there)
        return FrameBefore(warp(picture_HW3.astype(np.float32) / np.float32(255.0), flow), weights)

    def likeness(self, here: int, there: int) -> np.ndarray:
        """Return how alike a frame and another one, brought to it, look at each position, in [0, 1]."""
        flow, _ = self.motion(here, there)
        return likeness(self.frame(here), warp(self.frame(there).astype(np.float32), flow))

    def shots(self) -> list[list[int]]:
        """Return the numbers of the frames of each shot: a new one begins where hardly any position is found again."""
        shots: list[list[int]] = []
        for number in self.clip.numbers:
            if shots and not cut(self.motion(number, shots[-1][-1])[1]):
                shots[-1].append(number)
            else:
                shots.append([number])
        return shots

    def held(self, shot: Sequence[int]) -> tuple[Pixels, ...]:
        """Return the frames of a shot whose statistics stand for all of its frames."""
        return tuple(self.pixels(number) for number in shot[::_SHOT_STRIDE][:_SHOT_FRAMES])

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npy"

    def _get(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        def load() -> np.ndarray:
            beats.moved()  # between the frames of a long clip
            try:
                array: np.ndarray = np.load(self._path(name), allow_pickle=False)
            except (OSError, ValueError, EOFError):  # gone, or written by halves by a machine that lost its power
                pass
            else:
                if array.shape == (self.size[1], self.size[0], 3):
                    return array
            array = compute()
            self._keep(name, array)
            return array

        return self._memory.get(name, load)

    def _keep(self, name: str, array: np.ndarray) -> None:
        """Write an array to the cache, whole or not at all; a disk that refuses costs only time."""
        with contextlib.suppress(OSError):
            partial = self._path(f"{name}-{uuid.uuid4().hex}.partial")
            try:
                np.save(partial, array)
                partial.replace(self._path(name))
            finally:
                partial.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the folder of the user's cache that frames and motion are kept in."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "nst" / "clips"


def trim(folder: Path, *, keep: Path, most: int = MOST_BYTES) -> None:
    """Remove the folders below `folder` that were used longest ago, until the rest has at most `most` bytes."""
    sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in _folders(folder)}
    total = sum(sizes.values())
    for each in sorted(sizes, key=lambda each: each.stat().st_mtime):
        if total > most and each != keep:
            shutil.rmtree(each, ignore_errors=True)
            total -= sizes[each]


def _folders(folder: Path) -> Iterable[Any]:
    return [each for each in folder.iterdir() if each.is_dir()]
