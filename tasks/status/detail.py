"""One sweep or open training in detail: who takes part, how fast it goes, what failed and why, and where its page is.

Only what is shown is read: the newest claims of the log for the pace, and of `failures` the rows of what failed.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError
from tasks.catalog.parquet import from_file
from tasks.heartbeat import TRAININGS
from tasks.jobs import Failure
from tasks.layout import manifest_key, page_folder
from tasks.models.choose import TRAINING_METHOD
from tasks.planning.hindrances import hindrances
from tasks.status.taking_part import participants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.catalog import Catalog
    from tasks.catalog.log import Claim
    from tasks.planning.hindrances import Hindrance
    from tasks.root import Root
    from tasks.status.submissions import Overview, Submission
    from tasks.status.taking_part import Participant

_WINDOW_S: Final = 900.0
"""The last minutes, from which the pace is told."""

_LEAST_S: Final = 20.0
"""Between the first and the last publication of those minutes; of less, a pace says nothing."""

_MOST_CLAIMS: Final = 24
"""Publications that are read for the pace: there is one a minute."""

_MOST_BYTES: Final = 2**24
"""Of the kept text of a manifest."""

_ROWS_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Cause:
    """Why some cells or models failed, the last time that each was tried."""

    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Detail:
    """A submission, and what else is known of it.

    Attributes:
        submission: The counts.
        participants: Who takes part, those that have fallen silent among them.
        per_hour: Cells that are done in an hour at the pace of the last minutes; None if it is not known, as of models,
            or if nobody takes part.
        seconds_left: How long the rest takes at that pace; None if that is not known.
        causes: Why what failed has failed, the most frequent first.
        left_out: Why machines cannot take part in it as long as it is open, those that looked last first.
        page: URI of the page, "" if there is none.
        manifest: Where the manifest was read, as its user named it; "" if that is not on record.
        changes: The changes to it, `key=value` each; "" for none.
    """

    submission: Submission
    participants: tuple[Participant, ...]
    per_hour: float | None
    seconds_left: float | None
    causes: tuple[Cause, ...]
    left_out: tuple[Hindrance, ...]
    page: str
    manifest: str
    changes: str

    def to_json(self) -> dict[str, Any]:
        """Return it for `nst status SWEEP --json`."""
        taking_part = [
            {
                "id": each.id,
                "host": each.host,
                "pid": each.pid,
                "seconds_since_beat": round(each.silent_s, 1),
                "is_alive": each.is_alive,
            }
            for each in self.participants
        ]
        return {
            **self.submission.to_json(),
            "participants": taking_part,
            "done_per_hour": self.per_hour,
            "seconds_left": self.seconds_left,
            "failures": [{"cause": cause.text, "count": cause.number} for cause in self.causes],
            "left_out": [{"host": each.host, "error": each.error, "at": each.at.isoformat()} for each in self.left_out],
            "page": self.page or None,
            "manifest": self.manifest or None,
            "changes": self.changes or None,
        }


def detail(root: Root, there_is: Overview, submission: Submission) -> Detail:
    """Return what is known of one sweep or open training.

    Args:
        root: The root.
        there_is: What there is below it; the submission was asked for.
        submission: One of these.
    """
    known, is_sweep = there_is.known[submission.id], submission.kind == "sweep"
    per_second = _per_second(root.catalog, submission.id) if is_sweep and submission.state == "running" else None
    page = f"{page_folder(submission.name, submission.id)}/index.html"
    return Detail(
        submission=submission,
        participants=tuple(participants(root.store, submission.id if is_sweep else TRAININGS)),
        per_hour=None if per_second is None else per_second * 3600,
        seconds_left=None if per_second is None else submission.not_tried / per_second,
        causes=_causes(root.catalog, known.failed, "cell_id" if is_sweep else "model_id"),
        left_out=tuple(hindrances(root.store, submission.id)) if submission.is_open else (),
        page=root.store.url(page) if is_sweep and root.store.head(page) else "",
        manifest=known.manifest,
        changes=_changes(root, submission, known.manifest),
    )


def _per_second(catalog: Catalog, sweep_id: str) -> float | None:
    """Return how many cells of a sweep were done in a second of the last minutes, by the log of what was published.

    A publication may hold cells of several sweeps; each sweep's share is taken to be that of its commit records.
    """
    ledger = catalog.ledger("results")
    times = ledger.sync().times
    newest = max(times, default=0.0)
    if time.time() - newest > _WINDOW_S:
        return None
    last = range(max(0, len(times) - _MOST_CLAIMS), len(times))
    claims = ledger.each(ledger.claim, [number for number in last if newest - times[number] <= _WINDOW_S])
    added = sorted((claim for claim in claims if claim.op == "add"), key=lambda claim: claim.at)
    seconds = added[-1].at - added[0].at if added else 0.0
    if seconds < _LEAST_S:
        return None
    done = sum(len(claim.keys) * _share(claim, sweep_id) for claim in added[1:])  # since the first of them
    return done / seconds if done else None


def _share(claim: Claim, sweep_id: str) -> float:
    mine = sum(name.partition("/")[0] == sweep_id for name, _ in claim.records)
    return mine / len(claim.records) if mine else 0.0


def _causes(catalog: Catalog, failed: set[str], column: str) -> tuple[Cause, ...]:
    """Return why these cells or models failed when they were tried last, the most frequent cause first."""
    if not failed:
        return ()
    columns = [column, "attempt", "error_class", "error_message", "method"]
    last: dict[str, tuple[int, str]] = {}

    def note(rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            of = row.get(column)
            # a cell that runs a model names it, too
            if of in failed and (row.get("method") == TRAINING_METHOD) == (column == "model_id"):
                text = str(Failure(of, row.get("error_class") or "", row.get("error_message") or ""))
                last[of] = max(last.get(of, (0, "")), (row.get("attempt") or 0, text))

    def parse(file: bytes) -> None:  # file by file: the failures of all sweeps may be many
        for batch in from_file(file, columns).to_batches(max_chunksize=_ROWS_AT_ONCE):
            note(batch.to_pylist())

    _, fresh = catalog.snapshot("failures", parse)
    note(fresh)
    return tuple(Cause(*pair) for pair in Counter(text for _, text in last.values()).most_common())


def _changes(root: Root, submission: Submission, manifest: str) -> str:
    """Return the changes that a manifest was submitted with, as the first line of its kept text has them."""
    try:
        text = root.store.get(manifest_key(submission.name, submission.id), max_bytes=_MOST_BYTES)
    except (FileNotFoundError, InputError):
        return ""
    begin, line = f"# {PurePosixPath(manifest).name} with ", text.split(b"\n", 1)[0].decode(errors="replace")
    return line.removeprefix(begin) if manifest and line.startswith(begin) else ""
