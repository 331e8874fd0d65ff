"""Redo, never undo: every live file is written from its claim, then every replaced file is removed.

Any process may heal at any time; healing is idempotent. At most the file of the newest claim can be missing, because no
process makes a claim before all earlier files are written. A process that was suspended while it healed may write a
replaced file once more; it lists the files afterwards and removes it, and so does every later healing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst.errors import StorageError
from tasks.catalog import layout
from tasks.catalog.ledger import Ledger, Moved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.catalog.log import Claim
    from tasks.catalog.records import Record


def heal(
    ledger: Ledger,
    known: Mapping[str, Record] | None = None,
    *,
    made: Mapping[int, bytes] | None = None,
    force: bool = False,
) -> None:
    """Make the files agree with the folded log.

    Args:
        ledger: The table, folded.
        known: Commit records that are in memory already, by name.
        made: Files that are in memory already, by the number of their claim.
        force: List the files even if this process has seen every file in its place since the log last grew.

    Raises:
        Moved: The log has grown in the meantime: fold it and heal again.
    """
    while ledger.healed != ledger.state.number or force:
        force = False
        number = ledger.state.number
        have = {stat.key for stat in ledger.store.list(layout.files(ledger.table.name))}
        missing = [file for file in ledger.state.live if file not in have]
        for file in missing:
            claim = _claim_of(ledger, file)
            data = (made or {}).get(claim.number) or build(ledger, claim, known)
            ledger.store.put(file, data, create=True)
        if missing and ledger.sync().number != number:
            continue  # what was just written may be replaced by now, but not before the newest file is written
        ledger.delete(sorted(ledger.state.dead & have))
        ledger.healed = number


def build(ledger: Ledger, claim: Claim, known: Mapping[str, Record] | None = None) -> bytes:
    """Return the bytes of a claim's file, made from the claim's records or inputs.

    Raises:
        Moved: The records or inputs are gone, which means that the file was written and has been replaced since.
        UserError: A record or an input is damaged.
    """
    if claim.op != "add":
        files = ledger.fetch(list(claim.inputs))
        if any(file is None for file in files):
            raise Moved(claim.inputs[0])
        without = (claim.column, frozenset(claim.values)) if claim.op == "drop" else None
        try:
            return ledger.codec.merge(ledger.table, [file for file in files if file is not None], without)
        except (OSError, ValueError, KeyError) as error:  # what Arrow raises about bytes that are no Parquet
            raise ledger.damaged(f"catalog/{ledger.table.name}/", error) from error
    return ledger.codec.write(ledger.table, rows(ledger, claim, known))


def rows(ledger: Ledger, claim: Claim, known: Mapping[str, Record] | None = None) -> list[dict[str, Any]]:
    """Return the rows that a claim publishes.

    Raises:
        Moved: A record is gone, or was overwritten by a late request.
        StorageError: A record holds columns that only a newer nst knows.
    """
    known = known or {}
    absent = [name for name, _ in claim.records if name not in known]
    found = {**known, **{record.name: record for record in ledger.read_records(absent)}}
    kept: list[dict[str, Any]] = []
    for name, digest in claim.records:
        record = found[name]
        if record.digest != digest:  # it was cleared away, and a late request of a dead writer wrote another one
            raise Moved(name)
        if record.unknown(ledger.table):
            raise StorageError(f"record {name!r} was written by a newer nst", hint="upgrade nst")
        skip = set(claim.skip.get(name, ()))
        kept += [row for position, row in enumerate(record.rows) if position not in skip]
    return kept


def _claim_of(ledger: Ledger, file: str) -> Claim:
    number = int(file.rsplit("/", 1)[1].split("-")[1])
    return ledger.claim(number)
