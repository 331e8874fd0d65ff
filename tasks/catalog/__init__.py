"""The catalog: what was done, as Parquet below the root, exact with any number of writers and after any crash.

    catalog = Catalog(open_store("s3://bucket/root"))
    catalog.commit("results", sweep_id, batch_id, rows)   # a worker: the commit point of a batch
    catalog.publish("results")                            # anyone, any time
    catalog.keys("results")                               # what is done
    catalog.read("results")                               # pyarrow.Table, an exact snapshot

How and why: `log.py` (claims), `heal.py` (redo), `publish.py`, `compact.py`, `read.py`; proved by `tests/simulator.py`.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from nst.errors import UserError
from tasks.catalog import compact as _compact
from tasks.catalog import drop as _drop
from tasks.catalog import layout, records
from tasks.catalog import publish as _publish
from tasks.catalog import read as _read
from tasks.catalog.heal import heal as _heal
from tasks.catalog.lease import lease
from tasks.catalog.ledger import MOST_SMALL_FILES, RECORDS_KEPT_S, Ledger, Moved
from tasks.catalog.parquet import Codec, Parquet
from tasks.catalog.schema import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pyarrow as pa

    from tasks.catalog.parquet import Rows
    from tasks.catalog.read import Keys
    from tasks.store import Store

_Found = TypeVar("_Found")

TABLES = tuple(SCHEMAS)
"""Names of the tables."""


class Catalog:
    """The tables of one root. Safe to share between threads; make one per process and keep it: it remembers the log.

    Args:
        store: The objects of the root.
        single_publisher: True on stores without create-only writes (`tasks.store.probe`): publishers then take turns by
            tickets (`lease.py`).
        threads: Requests in flight at once; with 0 all are made one by one in the calling thread.
        codec, clock, sleep, checkpoint_every, kept_s, most_small: Replaced by tests (`Ledger`).
    """

    def __init__(
        self,
        store: Store,
        *,
        single_publisher: bool = False,
        threads: int = 16,
        codec: Codec | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        checkpoint_every: int = 64,
        kept_s: float = RECORDS_KEPT_S,
        most_small: int = MOST_SMALL_FILES,
    ) -> None:
        self.store = store
        self.single_publisher = single_publisher
        kind = codec or Parquet()
        self._ledgers = {
            name: Ledger(store, table, kind, threads, checkpoint_every, clock, sleep, kept_s, most_small)
            for name, table in SCHEMAS.items()
        }
        self._anchored: set[str] = set()

    def ledger(self, table: str) -> Ledger:
        """Return a table's ledger.

        Raises:
            UserError: There is no such table.
        """
        if table not in self._ledgers:
            raise UserError(f"the catalog has no table {table!r}", hint=f"tables: {', '.join(TABLES)}")
        return self._ledgers[table]

    def commit(
        self,
        table: str,
        group: str,
        record_id: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        common: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write a batch's rows as one create-only record: from here on they are never lost and never doubled.

        Args:
            table: Name of the table.
            group: Folder of the record: the sweep's id, or the model's.
            record_id: Name of what is committed, such as a batch; it has the same id when it runs again. A table with a
                key takes any number of records with one id; the row that is published first counts.
            rows: Values by column; missing columns are null, timestamps are aware datetimes.
            common: Values that all rows share; a row may override them.

        Returns:
            False if the table has no key and a record with this id was committed already, which counts, whatever it
            holds.

        Raises:
            ValueError: A column is unknown, a row lacks the table's key, or an id cannot be part of an object's key.
            TypeError: A value does not fit its column.
        """
        ledger = self.ledger(table)
        data = records.encode(ledger.table, rows, common or {})
        group, record_id = layout.safe(group), layout.safe(record_id)
        if ledger.table.key:  # a name that no record had before: what was dropped from the table can be committed again
            return self.store.put(
                layout.record(table, f"{group}/{record_id}-{uuid.uuid4().hex[:16]}"), data, create=True
            )
        with ledger.lock:
            state = ledger.sync()
            name = state.record_name(group, record_id)
            if name in state.records:
                return False
        key = layout.record(table, name)
        return (not self.single_publisher or self.store.head(key) is None) and self.store.put(key, data, create=True)

    def publish(self, table: str) -> int:
        """Publish what was committed before this call and return the number of rows that became visible.

        It also clears old commit records away and merges small files where there are many, so that a run of days keeps
        few of either.
        """
        ledger = self.ledger(table)
        with ledger.lock:
            self._anchor(ledger)
            if self.single_publisher and _publish.idle(ledger):
                return 0  # nothing to publish: no need to wait for a turn
            with lease(ledger, needed=self.single_publisher):
                published = _publish.publish(ledger)
                _compact.keep_few(ledger)
                return published

    def _anchor(self, ledger: Ledger) -> None:
        """Make sure that plain readers find every column, before the first row is published."""
        if ledger.table.name not in self._anchored:
            _publish.anchor(ledger)
            self._anchored.add(ledger.table.name)

    def compact(self, table: str, *, open_files: int = 8, closed_files: int = 2) -> int:
        """Merge small files and return how many were replaced; policy in `compact.py`."""
        ledger = self.ledger(table)
        with ledger.lock, lease(ledger, needed=self.single_publisher):
            return _compact.compact(ledger, open_files=open_files, closed_files=closed_files)

    def drop(self, table: str, column: str, values: Collection[str]) -> int:
        """Publish what is committed, drop rows for good, and return how many; policy in `drop.py`.

        Args:
            table: Name of the table.
            column: The table's key; of a table without a key, any column of strings.
            values: The values of that column in the rows to be dropped.
        """
        ledger = self.ledger(table)
        with ledger.lock, lease(ledger, needed=self.single_publisher):
            self._anchor(ledger)
            _publish.publish(ledger)
            return _drop.drop(ledger, column, frozenset(values))

    def gc(self, table: str, *, grace: float = RECORDS_KEPT_S) -> int:
        """Remove commit records published at least `grace` seconds ago and return how many."""
        ledger = self.ledger(table)
        with ledger.lock, lease(ledger, needed=self.single_publisher):
            return _compact.gc(ledger, grace=grace)

    def heal(self, table: str) -> None:
        """Write every live file that is missing and remove every replaced one; `publish` and `compact` do so too."""
        ledger = self.ledger(table)
        with ledger.lock, lease(ledger, needed=self.single_publisher):
            for attempt in range(100):
                ledger.sync()
                try:
                    _heal(ledger, force=True)
                except Moved:
                    ledger.back_off(attempt)
                else:
                    return

    def keys(self, table: str, column: str = "cell_id", *, live: bool = True) -> set[str]:
        """Return the distinct values of a column, committed but unpublished rows included if `live`."""
        return _read.keys(self.ledger(table), column, live=live)

    def known(self, table: str) -> Keys:
        """Return the values of the table's key, for `in` alone: `keys` copies them, which takes memory at a million."""
        return _read.known(self.ledger(table))

    def counts(self, table: str, column: str = "cell_id", *, live: bool = True) -> dict[str, int]:
        """Return how many rows have each value of a column, e.g. the failed attempts of each cell."""
        return _read.count(self.ledger(table), column, live=live)

    def read(
        self, table: str, columns: Sequence[str] | None = None, *, live: bool = True, where: Rows | None = None
    ) -> pa.Table:
        """Return an exact snapshot as an Arrow table.

        Args:
            table: Name of the table.
            columns: Names of columns; None for all.
            live: Whether to add rows that are committed and not yet published.
            where: A column of strings and the values that it has in the rows to return; None for all rows.
        """
        return _read.read(self.ledger(table), columns, live=live, where=where)

    def snapshot(
        self, table: str, parse: Callable[[bytes], _Found], *, live: bool = True
    ) -> tuple[list[_Found], list[dict[str, Any]]]:
        """Return every live file, parsed, and the rows that are committed and not yet published."""
        return _read.snapshot(self.ledger(table), live=live, parse=parse)
