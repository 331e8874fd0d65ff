"""What became of a sweep or a training: counts, failures, and the lines that `nst run` prints at its end."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.jobs import Failure

RUN_AGAIN: Final = "run again"
SUBMIT_AGAIN: Final = "submit it again"
"""What tries failed cells again where somebody else has submitted them; who takes part does not try them twice."""

_FAILURES_SHOWN: Final = 10


@dataclass(slots=True, kw_only=True)
class Summary:
    """The counts of an order, in cells or models.

    Attributes:
        name: Name of the manifest.
        total: Everything that the manifest declares.
        done_before: What was done before the run.
        done: What the run did.
        done_by_others: What other participants did in the meantime.
        failed: What the run tried in vain, or others in the meantime.
        seconds: Wall-clock seconds of the run.
        failures: Why each of `failed` failed.
        waits_for: Number of other participants that do all that is left; 0 as long as this one has something to do.
        participant: Id of this run as a participant, "" before it takes part.
        again: What somebody does to try again what has failed.
    """

    name: str
    total: int
    done_before: int
    done: int = 0
    done_by_others: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    waits_for: int = 0
    participant: str = ""
    again: str = RUN_AGAIN

    @property
    def handled(self) -> int:
        """What is done or was tried in vain so far, by whomever."""
        return self.done_before + self.done + self.done_by_others + self.failed

    @property
    def wanted(self) -> int:
        """What is to be done at the end of the run."""
        return self.total

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 1 if anything failed."""
        return 1 if self.failed else 0

    @property
    def has_failed(self) -> bool:
        """Whether the run counts as failed: a training without its models does, a sweep without some cells does not."""
        return False

    def note(self, default: str = "") -> str:
        """Return what the progress says: the number of failures, and whom the run waits for."""
        failed = f"{self.failed} failed" if self.failed else default
        others = f"{self.waits_for} other participants" if self.waits_for > 1 else "another participant"
        waiting = f"waiting for {others}" if self.waits_for and self.handled < self.wanted else ""
        return ", ".join(filter(None, (failed, waiting)))

    def hear(self, done: list[str], failures: tuple[Failure, ...]) -> None:
        """Count what other participants did."""
        self.done_by_others += len(done)
        self.add_failures(failures)

    def add_failures(self, failures: tuple[Failure, ...]) -> None:
        """Count cells or models that failed."""
        self.failed += len(failures)
        self.failures += failures

    def facts(self) -> dict[str, object]:
        """Return the counts of what this run did, as events tell them (`tasks.events`)."""
        return {**self.about(), "done": self.done, "failed": self.failed, "by_others": self.done_by_others}

    def about(self) -> dict[str, object]:
        """Return what each event of the run says."""
        return {"name": self.name, "participant": self.participant}

    def lines(self, root: str) -> Iterator[str]:
        """Yield what the run did and where to look.

        Args:
            root: The root as it is typed in any folder.
        """
        raise NotImplementedError

    def _failure_lines(self) -> Iterator[str]:
        """Yield what failed and what helps; equal failures share a line."""
        if not self.failed:
            return
        passing = all(failure.may_pass for failure in self.failures)
        yield f"{self.failed} failed; " + (
            f"{self.again} to try them again"
            if passing
            else f"mend what is named here, then {self.again} to try only them"
        )
        ids: dict[str, list[str]] = {}
        for failure in self.failures:
            ids.setdefault(str(failure), []).append(failure.cell_id[:8])
        for text, equal in islice(ids.items(), _FAILURES_SHOWN):
            yield f"  {equal[0]}{f' and {len(equal) - 1} more' if len(equal) > 1 else ''}: {text}"
        if len(ids) > _FAILURES_SHOWN:
            yield f"  {len(ids) - _FAILURES_SHOWN} other causes are in the catalog's failures table"


@dataclass(slots=True, kw_only=True)
class SweepSummary(Summary):
    """What became of a sweep, in cells.

    Attributes:
        sweep_id: Id of the sweep.
        gallery: URI of its page, "" if the run made none.
        lost: Cells that the store accepted the rows of, and that are not in the catalog at the end.
        judged: Whether the pictures were judged as they were made.
        frames: Number of frames of the clips that are not done, all passes, and of those that are kept.
        not_chosen: Cells that are not done and that the run left out, since others were chosen.
        own_done, own_failed: Cells of this run alone that are done and have failed, also of batches that ended after
            it was stopped.
    """

    sweep_id: str
    gallery: str = ""
    lost: int = 0
    judged: bool = True
    frames: tuple[int, int] = (0, 0)
    not_chosen: int = 0
    own_done: int = 0
    own_failed: int = 0

    def facts(self) -> dict[str, object]:
        """Return the counts of what this run did by itself, as events tell them."""
        return {**Summary.facts(self), "done": self.own_done, "failed": self.own_failed}

    def about(self) -> dict[str, object]:
        """Return what each event of the run says."""
        return {"sweep": self.sweep_id, **Summary.about(self)}

    @property
    def expected(self) -> int:
        """What the catalog should hold now."""
        return self.done_before + self.done + self.done_by_others

    @property
    def wanted(self) -> int:
        """Cells that are to be done at the end of the run."""
        return self.total - self.not_chosen

    @property
    def frames_kept(self) -> str:
        """What is kept of the clips that are not done, for people; "" where nothing is."""
        total, kept = self.frames
        if not kept:
            return ""
        return f"{kept:,} of the {total:,} frames of clips that are not done are kept, and the next run goes on there"

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 1 if anything failed or was lost."""
        return 1 if self.failed or self.lost else 0

    def lines(self, root: str) -> Iterator[str]:
        """Yield what the run did and where to look; `root` as it is typed in any folder."""
        before = f", {self.done_before} were done before" if self.done_before else ""
        before += f", {self.done_by_others} by others" if self.done_by_others else ""
        left = f", {self.not_chosen} were not chosen" if self.not_chosen else ""
        yield f"sweep {self.name} ({self.sweep_id[:8]}): {self.done} done in {duration(self.seconds)}{before}{left}"
        if self.lost:
            yield f"{self.lost} of {self.expected} done cells are not in the catalog, although the store"
            yield "  accepted their rows; run again to compute them, and `nst fsck` to see what else is missing"
        yield from self._failure_lines()
        if self.frames_kept:
            yield self.frames_kept
        if self.gallery:
            yield f"pictures: {self.gallery}"
        yield f"catalog:  {root.rstrip('/')}/catalog/results"
        if not self.judged and self.done:
            judge = f"nst judge {shlex.quote(self.name)} --root {shlex.quote(root)}"
            yield f"scores that mean the same for every method: {judge}"


@dataclass(slots=True, kw_only=True)
class TrainingSummary(Summary):
    """What became of a training manifest, in models.

    Attributes:
        models: Ids of all its models that are trained now.
    """

    models: list[str] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether the run counts as failed: models are missing."""
        return self.failed > 0

    def lines(self, root: str) -> Iterator[str]:
        """Yield what the run did and where to look; `root` as it is typed in any folder."""
        before = f", {self.done_before} were trained before" if self.done_before else ""
        before += f", {self.done_by_others} by others" if self.done_by_others else ""
        yield f"training {self.name}: {self.done} trained in {duration(self.seconds)}{before}"
        yield from self._failure_lines()
        for model in self.models:
            yield f"model:    {model}"
        yield f"catalog:  {root.rstrip('/')}/catalog/models"


def duration(seconds: float) -> str:
    """Return seconds as people say them: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
