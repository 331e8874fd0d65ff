"""Stylizes a clip frame by frame: the variants of a batch go through each frame together, and each frame is committed.

Within a shot a frame starts from the frames before it, as they were saved: 8 bits a channel. So a run that goes on
where another one was stopped makes the same frames, bit for bit, and what is on record is not made again. Another
selection of frames finds those whose past is the same (`nst.identity.frame_id`).
"""

from __future__ import annotations

import hashlib
import itertools
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nst.config.method import PixelMethod
from nst.config.terms import TERMS
from nst.config.video import MotionBlock, PixelVideoConfig
from nst.errors import NstError
from nst.identity import chain_id, frame_id
from nst.methods.start import picture_size
from nst.motion.measures import warping_error
from nst.pictures import images
from nst.pictures.images import Pixels, decode
from nst.recent import Recent
from nst.records import OutputFormat
from tasks.layout import picture_key
from tasks.work.clip_made import ClipMade
from tasks.work.clip_past import Past
from tasks.work.clip_source import Clip, ClipSource
from tasks.work.halving import stylize_in_memory
from tasks.work.rows import loss_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from nst.config.method import Method
    from nst.records import Cell
    from nst.workspace import Request, Stylized, Workspace
    from tasks.jobs import Job
    from tasks.root import Root

    OnStep = Callable[[int, int], None]

_ROOM: Final = 2**28
"""Bytes of stylized frames that are kept in memory."""

_LOSSES: Final = ("loss", *(f"{name}_loss" for name in TERMS))

KEPT: Final = ("frame_id", "frame", "pass", "shot", "steps_done", "seconds", "picture_digest", "picture_bytes",
               "warping_error", "source_warping_error", "consistent_share", *_LOSSES)  # fmt: skip
"""Columns of the table `frames` that a frame keeps when another cell uses it."""


@dataclass(slots=True)
class _Chain:
    """One cell on its way through the clip."""

    cell: Cell
    request: Request
    chain: str
    past: Past
    """What its frames go on from."""
    rows: dict[tuple[int, int], dict[str, Any]]
    """The rows of its frames by pass and number."""
    error: Exception | None = None


class ClipWork:
    """The way of a batch through a clip.

    Args:
        job: The batch; all of its cells have the same clip.
        ready: Its cells with their requests, which have no content yet.
        workspace: The device, with backbones and networks.
        root: Where frames and rows go.
        here: Columns about where and when it is computed.
        on_step: Called with (number of steps done, number of all steps).
    """

    def __init__(
        self,
        job: Job,
        ready: Sequence[tuple[Cell, Request]],
        *,
        workspace: Workspace,
        root: Root,
        here: Mapping[str, Any],
        on_step: OnStep | None,
    ) -> None:
        content = ready[0][0].content
        assert content is not None, "a clip is a content"
        self._job, self._workspace, self._root, self._here, self._on_step = job, workspace, root, here, on_step
        self._clip = Clip.planned(content, root.store)
        ((_, first),) = self._clip.decoded([self._clip.numbers[0]])
        config = ready[0][1].config
        self._config, self._motion = config, config.motion
        size = picture_size(replace(ready[0][1], content=Pixels("first", first)))
        self._source = ClipSource(self._clip, size, (self._motion or MotionBlock()).flow, str(workspace.device))
        digest = job.batch.weights_digest
        self._pictures: Recent[np.ndarray] = Recent(_ROOM, lambda array: array.nbytes)
        self._chains = [self._chain(cell, request, chain_id(cell, digest)) for cell, request in ready]

    def _chain(self, cell: Cell, request: Request, chain: str) -> _Chain:
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        past = Past(self._source, self._motion, lambda turn, number: self._saved(rows[turn, number]))
        return _Chain(cell, request, chain, past, rows)

    def run(self) -> list[ClipMade | Exception]:
        """Return one clip or error per cell; the frames of all clips are committed.

        Raises:
            TransientError: The store did not answer; what is committed is kept.
        """
        shots = self._source.shots()
        passes = self._motion.passes if isinstance(self._motion, PixelVideoConfig) else 1
        self._find_done(shots, passes)
        mine = self._job.part.of(list(enumerate(shots))) if self._job.part else list(enumerate(shots))
        frames = [
            (number, shot if turn % 2 == 0 else shot[::-1], place, turn)
            for (number, shot), turn in itertools.product(mine, range(passes))
            for place in range(len(shot))
        ]
        steps = [_steps(self._config.of_frame(first=place == 0 and turn == 0)) for _, _, place, turn in frames]
        total = sum(steps)
        for frame, done, taken in zip(frames, itertools.accumulate(steps, initial=0), steps, strict=False):
            report = self._reporter(done, total)
            self._step(*frame, report)
            report(taken, taken)  # also of a frame that was on record or stopped early
        if self._job.part:
            return []
        return [chain.error or self._made(chain, shots, passes, total) for chain in self._chains]

    def _reporter(self, before: int, total: int) -> OnStep:
        """Return a function that reports the steps of a frame as steps of the clip."""

        def report(step: int, _: int) -> None:
            if self._on_step:
                self._on_step(before + step, total)

        return report

    def _made(self, chain: _Chain, shots: list[list[int]], passes: int, most_steps: int) -> ClipMade:
        rows = [chain.rows[passes - 1, number] for number in self._clip.numbers]
        done, seconds = (sum(row[name] for row in chain.rows.values()) for name in ("steps_done", "seconds"))
        can_stop = isinstance(self._config, PixelMethod) and self._config.stop is not None
        return ClipMade(rows, self._source, shots, done, most_steps if can_stop else done, seconds)

    def _ids(self, chain: _Chain, shots: Sequence[Sequence[int]], passes: int) -> dict[tuple[int, int], str]:
        """Return the ids of all frames of a cell by pass and number."""
        ids: dict[tuple[int, int], str] = {}
        for shot, turn in itertools.product(shots, range(passes)):
            order = shot if turn % 2 == 0 else shot[::-1]
            held = [pixels.key[0] for pixels in self._held(shot)]
            past = ""
            for number in order:
                own = ids.get((turn - 1, number), "")
                past = frame_id(chain.chain, number, turn, own, past if self._motion else "", *held)
                ids[turn, number] = past
        return ids

    def _held(self, shot: Sequence[int]) -> tuple[Pixels, ...]:
        """Return the frames of a shot whose statistics the network holds; none for other methods and settings."""
        holds = getattr(self._motion, "hold_statistics", False) and not self._chains[0].request.content_mask
        return self._source.held(shot) if holds else ()

    def _find_done(self, shots: Sequence[Sequence[int]], passes: int) -> None:
        """Take the frames that are on record, and give those of other cells to the cells of this batch, too."""
        wanted = {id(chain): self._ids(chain, shots, passes) for chain in self._chains}
        ids = {frame for of_chain in wanted.values() for frame in of_chain.values()}
        table = self._root.catalog.read("frames", [*KEPT, "cell_id"], where=("frame_id", ids)).to_pylist()
        known = {row["frame_id"]: row for row in table if self._is_whole(row["picture_digest"])}
        own = {(row["cell_id"], row["frame_id"]) for row in table}
        adopted = []
        for chain in self._chains:
            for place, frame in wanted[id(chain)].items():
                if row := known.get(frame):
                    chain.rows[place] = {name: row[name] for name in KEPT}
                    if (chain.cell.cell_id, frame) not in own:
                        adopted.append(self._row(chain, chain.rows[place]))
        self._wanted = wanted
        if adopted:
            self._commit("adopted", adopted)

    def _is_whole(self, digest: str) -> bool:
        """Return whether the picture of a frame on record is below the root, undamaged; else it is made again."""
        try:
            data = self._root.store.get(picture_key(digest, "png"))
        except FileNotFoundError:
            return False
        return hashlib.sha256(data).hexdigest() == digest

    def _step(self, shot: int, order: Sequence[int], place: int, turn: int, on_step: OnStep) -> None:
        """Make a frame for all cells that lack it, and commit it."""
        number = order[place]
        chains = [chain for chain in self._chains if not chain.error and (turn, number) not in chain.rows]
        if not chains:
            return
        clock = time.perf_counter()
        requests = [self._request(chain, order, place, turn) for chain in chains]
        outcomes = stylize_in_memory(requests, self._workspace, on_step)
        seconds = (time.perf_counter() - clock) / len(chains)
        rows = []
        for chain, outcome in zip(chains, outcomes, strict=True):
            if isinstance(outcome, Exception):
                chain.error = _at_frame(outcome, number)
                continue
            row = self._write(chain, outcome, order, place, turn)
            chain.rows[turn, number] = row | {"shot": shot, "seconds": seconds, "steps_done": outcome.steps}
            rows.append(self._row(chain, chain.rows[turn, number]))
        if rows:
            self._commit(f"{turn}-{number}", rows)

    def _request(self, chain: _Chain, order: Sequence[int], place: int, turn: int) -> Request:
        """Return the request of one frame of a cell: where it starts, and what it is held to."""
        number = order[place]
        content = self._source.pixels(number)
        config = chain.request.config.of_frame(first=place == 0 and turn == 0)
        request = replace(chain.request, content=content, config=config, shot=self._held(order))
        if not self._motion or not (place or turn):
            return request
        before = chain.past.before(order, place, turn) if place else ()
        if not isinstance(self._motion, PixelVideoConfig):
            return replace(request, before=before)
        start_HW3 = chain.past.start(number, turn, content.array, before)
        return replace(request, before=before, start=Pixels(f"{chain.chain} {number} {turn}", start_HW3))

    def _write(self, chain: _Chain, outcome: Stylized, order: Sequence[int], place: int, turn: int) -> dict[str, Any]:
        """Write the picture of a frame and return what its row keeps."""
        number, image = order[place], outcome.image
        assert image is not None
        losses = loss_columns(outcome.losses) if outcome.losses else {}
        data = images.encode(image, OutputFormat(), {"software": "nst", "frame": str(number)})
        digest = hashlib.sha256(data).hexdigest()
        self._root.store.put(picture_key(digest, "png"), data)
        self._pictures.get(digest, lambda: image)
        row = {
            "frame_id": self._wanted[id(chain)][turn, number],
            "frame": number,
            "pass": turn,
            "picture_digest": digest,
            "picture_bytes": len(data),
            **{name: value for name, value in losses.items() if name in _LOSSES},
        }
        other = order[place - 1] if place else number
        if place and image.shape == self._source.frame(number).shape:  # a network may enlarge
            flow, weights = self._source.motion(other, number)
            pairs = {
                "warping_error": (self._saved(chain.rows[turn, other]), image),
                "source_warping_error": (self._source.frame(other), self._source.frame(number)),
            }
            for name, (first, second) in pairs.items():
                row[name] = warping_error(first, second, flow, weights)
            row["consistent_share"] = float(weights.mean())
        return dict.fromkeys(KEPT) | row

    def _saved(self, row: Mapping[str, Any]) -> np.ndarray:
        """Return a frame that is done, as it was saved."""
        digest = row["picture_digest"]
        return self._pictures.get(digest, lambda: decode(self._root.store.get(picture_key(digest, "png"))))

    def _row(self, chain: _Chain, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row of a frame in the table `frames`."""
        index = self._clip.numbers.index(kept["frame"])
        digest, about = kept["picture_digest"], f"{chain.cell.cell_id} {kept['frame_id']}"
        return {
            **kept,
            "frame_key": hashlib.blake2b(about.encode(), digest_size=16).hexdigest(),
            "cell_id": chain.cell.cell_id,
            "sweep_id": self._job.sweep_id,
            "time": float(self._clip.times[index] * self._clip.time_base),
            "picture_uri": self._root.store.url(picture_key(digest, "png")),
            "worker": self._here["worker"],
            "device": self._here["device"],
            "finished_at": datetime.now(UTC),
        }

    def _commit(self, what: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._root.catalog.commit("frames", self._job.sweep_id, f"{self._job.batch.batch_id}-{what}", rows)


def _steps(config: Method) -> int:
    """Return the number of steps that a frame takes at most."""
    if not isinstance(config, PixelMethod):
        return 1
    return sum(steps for _, steps in config.pyramid.schedule(config.steps))


def _at_frame(error: Exception, number: int) -> Exception:
    """Return an error that names the frame at which a cell failed."""
    if isinstance(error, NstError):
        return type(error)(f"frame {number}: {error.message}", hint=error.hint)
    note = f"at frame {number}"
    if note not in getattr(error, "__notes__", ()):  # cells of a batch may share an error
        error.add_note(note)
    return error
