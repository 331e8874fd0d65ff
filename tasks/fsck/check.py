"""Proof that a root is whole: the log, its files, the commit records and the pictures agree. Changes no object.

It may run beside whoever publishes. The files of a table are listed before its log is read, since a claim is there
before its file; and a file that is gone by then may have been replaced by a later claim.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from nst.errors import UserError
from tasks.catalog import layout, log, records
from tasks.catalog.keyless import KeylessState, digests_of
from tasks.catalog.ledger import AT_ONCE
from tasks.catalog.log import State
from tasks.catalog.parquet import from_file, walk
from tasks.catalog.schema import SCHEMAS
from tasks.fsck.clips import check_clips
from tasks.fsck.findings import Finding, Report
from tasks.fsck.inputs import check_inputs
from tasks.fsck.keys import KeyHistory, KeysOfFiles, first_of
from tasks.fsck.models import check_checkpoints, check_models
from tasks.fsck.names import check_names
from tasks.fsck.pictures import check_pictures
from tasks.fsck.plans import check_plans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.catalog.keyless import Digests
    from tasks.catalog.ledger import Ledger
    from tasks.root import Root

    _Checkpoint = ValueError | tuple[bytes, Digests]
    """Why a checkpoint cannot be read; or what it says without its keys, packed again, and their digests, sorted."""

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
        check_clips(catalog, report)
        check_models(catalog, report)
        check_checkpoints(catalog, report)
        check_inputs(root, report)
    else:
        report.notes.append(
            "pictures, frames, models and checkpoints were not checked: mend the problems and check again"
        )
    check_plans(root.store, report)
    return report


def _check_table(ledger: Ledger, report: Report) -> None:
    have = {stat.key for stat in ledger.store.list(layout.files(ledger.table.name))}
    state, keys, digests = _check_log(ledger, report)
    if state is None:
        return
    _check_files(ledger, state, keys, have, report)
    _check_records(ledger, state, digests, report)
    _check_anchor(ledger, report)


def _check_log(ledger: Ledger, report: Report) -> tuple[State | None, Digests, dict[str, str]]:
    """Fold the log from its first claim, and compare each checkpoint with the fold up to its number.

    Returns:
        The folded log without its keys, or None if it cannot be folded; the digests of its keys; the digests of the
        commit records in it.
    """
    table, state, digests, history = ledger.table.name, KeylessState(), dict[str, str](), KeyHistory()
    checkpoints = _checkpoints(ledger)  # before anything else, since unpacking takes the most memory
    keys = [stat.key for stat in ledger.store.list(layout.claims(table))]
    for key in (key for key in keys if layout.claim_number(table, key) is None):
        report.notes.append(f"{key} is no claim by its name; it is ignored")
    keys = [key for key in keys if layout.claim_number(table, key) is not None]
    for number, (key, data) in enumerate(_objects(ledger, keys)):
        if key != layout.claim(table, number):
            report.problem(
                layout.claim(table, number), "claim is missing", "restore it from a backup: claims are history"
            )
            return None, digests_of([]), {}
        try:
            claim = log.decode(number, data)
        except (ValueError, UserError) as error:
            report.problem(key, f"claim is not readable: {error}", "restore it from a backup")
            return None, digests_of([]), {}
        if unknown := [name for name in claim.inputs if name not in state.live]:
            report.problem(key, f"replaces a file that is not live: {unknown[0]}", "report this as a bug")
        state.apply(claim, table, ledger.codec.suffix)
        history.note(claim)
        digests.update(claim.records)
        if (saved := layout.checkpoint(table, state.number)) in checkpoints:
            _check_checkpoint(saved, checkpoints.pop(saved), state, history, report)
    report.counts["claims"] += state.number
    for key in sorted(checkpoints):
        report.problem(key, "checkpoint sums up claims that the log does not have", "delete it: it is made again")
    known, repeated = history.fold()
    for number, again in repeated.items():
        what = f"publishes keys that were published before: {first_of(ledger.claim(number).keys, again)}"
        report.problem(layout.claim(table, number), what, "report this as a bug")
    return state, known, digests


def _checkpoints(ledger: Ledger) -> dict[str, _Checkpoint]:
    found: dict[str, _Checkpoint] = {}
    for stat in ledger.store.list(layout.checkpoints(ledger.table.name)):
        try:
            saved = State.unpack(ledger.store.get(stat.key))
        except ValueError as error:
            found[stat.key] = error
            continue
        published, saved.keys = np.sort(digests_of(saved.keys)), set()
        found[stat.key] = saved.pack(), published
    return found


def _check_checkpoint(key: str, saved: _Checkpoint, state: State, history: KeyHistory, report: Report) -> None:
    if isinstance(saved, ValueError):
        report.problem(key, f"checkpoint is not readable: {saved}", "delete it: it is made again")
    elif saved[0] != state.pack() or not np.array_equal(saved[1], history.fold()[0]):
        report.problem(key, "checkpoint differs from the log that it sums up", "delete it: it is made again")


def _objects(ledger: Ledger, keys: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield objects in order with their bytes, empty where there is none; a few are in memory at once."""
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        yield from ((key, data or b"") for key, data in zip(some, ledger.fetch(some), strict=True))


def _check_files(ledger: Ledger, state: State, known: Digests, have: set[str], report: Report) -> None:
    """Check that the live files are there and hold just the rows and keys that the log says.

    Args:
        ledger: The table.
        state: Its log, as it is now.
        known: The keys of the log.
        have: The files that were there before the log was read.
        report: Gains what is found.
    """
    table, is_whole = ledger.table, True
    anchors = {key for key in have if layout.anchor_number(key) is not None}
    for key in sorted(have - set(state.live) - state.dead - anchors):
        report.problem(key, "no claim knows this file, but plain readers read it", "move it out of catalog/")
    if leftover := have & state.dead:
        report.notes.append(
            f"{table.name}: {len(leftover)} replaced files are still there; the next compaction removes them"
        )
    keys = KeysOfFiles()
    for file, rows in sorted(state.live.items()):
        try:
            count, digests = _walk(ledger, file)
        except FileNotFoundError:
            is_whole = False
            if not _replaced_later(ledger, state, file):
                _missing(ledger, state, file, report)
            continue
        except Exception as error:  # noqa: BLE001  whatever makes a file unreadable is the finding
            report.problem(file, f"file is not readable: {error}", "restore it from a backup")
            continue
        keys.see(digests)
        report.counts["files"] += 1
        report.counts[f"rows of {table.name}"] += count
        if count != rows:
            report.problem(file, f"{count} rows, but its claim says {rows}", "restore it from a backup")
    where = f"catalog/{table.name}"
    twice, unknown, missing = keys.compare(known)
    if twice.size:
        example = first_of(_keys(ledger, state), twice)
        report.problem(where, f"{twice.size} keys twice, e.g. {example}", "report this as a bug")
    odd = np.concatenate([unknown, missing]) if is_whole else unknown
    if odd.size:
        example = first_of(_keys(ledger, state), odd)
        report.problem(where, f"{odd.size} keys differ from the log, e.g. {example}", "restore the file")


def _walk(ledger: Ledger, file: str) -> tuple[int, Digests]:
    """Read a file whole and return the number of its rows, and the digests of its keys.

    Of a table whose rows share keys, such as the steps of a trace, each key is there once.
    """
    count, found = 0, [digests_of([])]
    for number, keys in walk(ledger.store.get(file), ledger.table.key):
        count += number
        found.append(digests_of(keys))
    digests = np.concatenate(found)
    return count, digests if ledger.table.unique == "row" else np.unique(digests)


def _keys(ledger: Ledger, state: State) -> Iterator[str]:
    """Yield the keys of the log and of the files that can be read."""
    for number in range(state.number):
        yield from ledger.claim(number).keys
    for file in state.live:
        with suppress(Exception):  # is a finding already
            for _, keys in walk(ledger.store.get(file), ledger.table.key):
                yield from map(str, keys)


def _replaced_later(ledger: Ledger, state: State, file: str) -> bool:
    """Return whether a claim that is newer than the log which was read replaces a file."""
    number = state.number
    while ledger.store.head(layout.claim(ledger.table.name, number)) is not None:
        if file in ledger.claim(number).inputs:
            return True
        number += 1
    return False


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
    table = ledger.table.name
    for key, data in _objects(ledger, [layout.record(table, name) for name in ledger.pending()]):
        name = layout.record_name(table, key)
        try:
            record = records.decode(ledger.table, name, data)
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
