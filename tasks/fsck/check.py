"""Proof that a root is whole: the log, its files, the commit records and the pictures agree. Changes no object.

Run it on a root that nothing writes to: during a sweep it may report a file that is being replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.errors import UserError
from tasks.catalog import layout, log, records
from tasks.catalog.log import State
from tasks.catalog.parquet import from_file, walk
from tasks.catalog.schema import SCHEMAS
from tasks.fsck.findings import Finding, Report
from tasks.fsck.frames import check_frames
from tasks.fsck.models import check_checkpoints, check_models
from tasks.fsck.names import check_names
from tasks.fsck.pictures import check_pictures

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from tasks.catalog.ledger import Ledger
    from tasks.root import Root

__all__ = ["Finding", "Report", "fsck"]


def fsck(root: Root, *, read_data: float = 1.0) -> Report:
    """Check every table, picture, frame of a clip, model and checkpoint of a root.

    Args:
        root: The root.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1; their digests decide which.
    """
    report, catalog = Report(), root.catalog
    for table in SCHEMAS:
        _check_table(catalog.ledger(table), report)
    check_names(root.store, report)
    if report.ok:
        check_pictures(catalog, report, read_data)
        check_frames(catalog, report, read_data)
        check_models(catalog, report)
        check_checkpoints(catalog, report)
    else:
        report.notes.append(
            "pictures, frames, models and checkpoints were not checked: mend the problems and check again"
        )
    return report


def _check_table(ledger: Ledger, report: Report) -> None:
    state, digests = _check_log(ledger, report)
    if state is None:
        return
    _check_files(ledger, state, report)
    _check_records(ledger, state, digests, report)
    _check_anchor(ledger, report)


def _check_log(ledger: Ledger, report: Report) -> tuple[State | None, dict[str, str]]:
    """Fold the log from its first claim, and compare each checkpoint with the fold up to its number."""
    table, state, digests = ledger.table.name, State(), dict[str, str]()
    checkpoints = {stat.key for stat in ledger.store.list(layout.checkpoints(table))}
    keys = []
    for stat in ledger.store.list(layout.claims(table)):
        if layout.claim_number(table, stat.key) is None:
            report.notes.append(f"{stat.key} is no claim by its name; it is ignored")
        else:
            keys.append(stat.key)
    for number, (key, data) in enumerate(zip(keys, ledger.fetch(keys), strict=True)):
        if key != layout.claim(table, number):
            report.problem(
                layout.claim(table, number), "claim is missing", "restore it from a backup: claims are history"
            )
            return None, {}
        try:
            claim = log.decode(number, data or b"")
        except (ValueError, UserError) as error:
            report.problem(key, f"claim is not readable: {error}", "restore it from a backup")
            return None, {}
        if repeated := state.keys & set(claim.keys):
            report.problem(key, f"publishes keys that were published before: {min(repeated)}", "report this as a bug")
        if unknown := [name for name in claim.inputs if name not in state.live]:
            report.problem(key, f"replaces a file that is not live: {unknown[0]}", "report this as a bug")
        state.apply(claim, table, ledger.codec.suffix)
        digests.update(claim.records)
        if (saved := layout.checkpoint(table, state.number)) in checkpoints:
            checkpoints.remove(saved)
            _check_checkpoint(ledger, saved, state, report)
    report.counts["claims"] += state.number
    for key in sorted(checkpoints):
        report.problem(key, "checkpoint sums up claims that the log does not have", "delete it: it is made again")
    return state, digests


def _check_checkpoint(ledger: Ledger, key: str, state: State, report: Report) -> None:
    try:
        saved = State.unpack(ledger.store.get(key))
    except ValueError as error:
        report.problem(key, f"checkpoint is not readable: {error}", "delete it: it is made again")
        return
    if saved != state:
        report.problem(key, "checkpoint differs from the log that it sums up", "delete it: it is made again")


def _check_files(ledger: Ledger, state: State, report: Report) -> None:
    """Check that the live files are there and hold just the rows and keys that the log says."""
    table = ledger.table
    have = {stat.key for stat in ledger.store.list(layout.files(table.name))}
    anchors = {key for key in have if layout.anchor_number(key) is not None}
    for key in sorted(have - set(state.live) - state.dead - anchors):
        report.problem(key, "no claim knows this file, but plain readers read it", "move it out of catalog/")
    if leftover := have & state.dead:
        report.notes.append(
            f"{table.name}: {len(leftover)} replaced files are still there; the next compaction removes them"
        )
    keys = _Keys(state.keys)
    for file, rows in sorted(state.live.items()):
        if file not in have:
            _missing(ledger, state, file, report)
            continue
        try:
            count = _walk(ledger, file, keys)
        except Exception as error:  # noqa: BLE001  whatever makes a file unreadable is the finding
            report.problem(file, f"file is not readable: {error}", "restore it from a backup")
            continue
        report.counts["files"] += 1
        report.counts[f"rows of {table.name}"] += count
        if count != rows:
            report.problem(file, f"{count} rows, but its claim says {rows}", "restore it from a backup")
    where = f"catalog/{table.name}"
    if keys.twice:
        report.problem(where, f"{len(keys.twice)} keys twice, e.g. {min(keys.twice)}", "report this as a bug")
    if odd := keys.unknown | (keys.missing if set(state.live) <= have else set()):
        report.problem(where, f"{len(odd)} keys differ from the log, e.g. {min(odd)}", "restore the file")


class _Keys:
    """The keys of the log against those of the files: one set that shrinks, since a second one of a million is large.

    Args:
        known: The keys of the log.
    """

    def __init__(self, known: AbstractSet[str]) -> None:
        self.known, self.missing = known, set(known)
        self.twice, self.unknown = set[str](), set[str]()

    def see(self, keys: Iterable[str]) -> None:
        """Note keys of a file."""
        for key in keys:
            if key in self.missing:
                self.missing.remove(key)
            else:
                (self.twice if key in self.known else self.unknown).add(key)


def _walk(ledger: Ledger, file: str, keys: _Keys) -> int:
    """Read a file whole and return the number of its rows; of a trace, whose rows share a key, the key counts once."""
    count, here = 0, set[str]()
    for number, found in walk(ledger.store.get(file), ledger.table.key):
        count += number
        if ledger.table.unique == "row":
            keys.see(found)
        else:
            keys.see(set(found) - here)
            here.update(found)
    return count


def _missing(ledger: Ledger, state: State, file: str, report: Report) -> None:
    number = int(file.rsplit("/", 1)[1].split("-")[1])
    claim = ledger.claim(number)
    sources = [layout.record(ledger.table.name, name) for name, _ in claim.records] or list(claim.inputs)
    if all(ledger.store.head(key) is not None for key in sources):
        report.notes.append(f"{file} is claimed and not yet written; the next publishing writes it")
    else:
        lost = f"file of {state.live[file]} published rows is missing, and so is what it was made from"
        report.problem(file, lost, "restore it from a backup")


def _check_records(ledger: Ledger, state: State, digests: dict[str, str], report: Report) -> None:
    names = ledger.pending()
    fetched = ledger.fetch([layout.record(ledger.table.name, name) for name in names])
    for name, data in zip(names, fetched, strict=True):
        key = layout.record(ledger.table.name, name)
        try:
            record = records.decode(ledger.table, name, data or b"")
        except ValueError as error:
            report.problem(key, str(error), "delete it: its batch runs again")
            continue
        report.counts["records"] += 1
        if unknown := record.unknown(ledger.table):
            report.problem(key, f"has columns that this version does not know: {sorted(unknown)}", "upgrade nst")
        elif name not in state.records:
            report.counts["unpublished rows"] += len(record.rows)
        elif digests[name] != record.digest:
            report.notes.append(f"{key} came back after it was published and cleared away; it is ignored")


def _check_anchor(ledger: Ledger, report: Report) -> None:
    """Check that the file which plain readers take the schema from has every column, and that all anchors are whole."""
    prefix = layout.anchors(ledger.table.name)
    anchors = [stat.key for stat in ledger.store.list(prefix) if layout.anchor_number(stat.key) is not None]
    if not anchors:
        if ledger.store.list(layout.files(ledger.table.name)):
            report.problem(prefix, "the schema anchor is missing", "run any sweep: publishing writes it")
        return
    hint = "delete it and run any sweep: publishing writes it"
    lacking = []
    for key in anchors:
        try:
            data = ledger.store.get(key)
            if from_file(data).num_rows:
                report.problem(key, "the schema anchor has rows", hint)
            lacking.append(ledger.codec.anchor(ledger.table, data) is not None)
        except Exception as error:  # noqa: BLE001  as above
            report.problem(key, f"the schema anchor does not fit: {error}", hint)
            lacking.append(False)
    if lacking[0]:
        report.notes.append(f"{ledger.table.name}: the next publishing adds columns that are new in this version")
