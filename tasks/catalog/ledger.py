"""One table in a store: its claim log, kept folded in memory, its commit records and its files.

Every operation of the catalog works on a `Ledger`. It is the only reader and writer of claims and checkpoints.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from nst.errors import StorageError, UserError
from tasks.catalog import layout, log, records
from tasks.catalog.log import Claim, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.catalog.parquet import Codec
    from tasks.catalog.records import Record
    from tasks.catalog.schema import Table
    from tasks.store import Store

LOGGER = logging.getLogger("nst.catalog")
AT_ONCE = 16
"""The most claims that are asked for at once when the log is read."""

RECORDS_KEPT_S = 600.0
"""For how long commit records stay after they were published, seconds."""

MOST_SMALL_FILES = 64
"""Number of small files of a month at which publishing merges them, and the most that are merged at once."""

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class Moved(Exception):
    """The log has grown and what was read is outdated: fold the log again and start over."""


@dataclass
class Ledger:
    """A table in a store.

    Attributes:
        threads: Requests in flight at once; 0 does everything in the calling thread.
        every: A checkpoint is written when the log has grown by this many claims.
        clock: Returns seconds since the epoch.
        sleep: Waits this many seconds.
        kept_s: For how long commit records stay after they were published, seconds.
        most_small: Number of small files of a month at which publishing merges them.
        state: The claims folded so far.
        claims: Claims in memory, by number.
        committed: Keys of the rows of commit records that were read and not claimed then, by the names of the records.
        saved: Number of claims in the newest checkpoint; None before the log was read.
        least: Claims that the log has at least: a claim below that is not there is lost, and not one to make.
    """

    store: Store
    table: Table
    codec: Codec
    threads: int = 16
    every: int = 64
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    kept_s: float = RECORDS_KEPT_S
    most_small: int = MOST_SMALL_FILES
    lock: threading.RLock = field(default_factory=threading.RLock)
    state: State = field(default_factory=State)
    claims: dict[int, Claim] = field(default_factory=dict)
    committed: dict[str, frozenset[str]] = field(default_factory=dict)
    saved: int | None = None
    least: int = 0
    guard: Callable[[], None] = lambda: None
    """Called before every claim; raises if this process may make no more claims."""
    healed: int = 0
    """Number of claims at which this process last saw every file in its place."""

    # ---- the log

    def sync(self) -> State:
        """Fold all claims of the log and return the state; costs one request when nothing is new.

        Raises:
            UserError: A claim is damaged, or it is missing and a later one is there.
        """
        with self.lock:
            if self.saved is None:
                self._load()
            guessed = 1  # claims that may be there; a new process knows from a listing how many are
            while True:
                start = self.state.number
                ahead = min(max(self.least - start, guessed), AT_ONCE)
                keys = [layout.claim(self.table.name, start + i) for i in range(ahead)]
                for data in self.fetch(keys):
                    if data is None:  # claims with later numbers were made after this one was asked for
                        if self.state.number < self.least:
                            raise self._lost(self.state.number)
                        return self.state
                    self._fold(self._decode(self.state.number, data))
                if self.state.number > self.least:
                    guessed *= 2

    def append(self, claim: Claim) -> bool:
        """Try to make `claim` the next of the log and return whether it is; fold it, or else those that others made.

        Raises:
            StorageError: The store neither takes the claim nor shows another one in its place.
        """
        assert claim.number == self.state.number
        self.guard()
        claim, data = log.encode(claim)
        key = layout.claim(self.table.name, claim.number)
        if not self.store.put(key, data, create=True):
            if self.sync().number == claim.number:
                raise StorageError(f"{self.store.url(key)} can neither be made nor read", hint="run `nst fsck`")
            return False
        self._fold(claim)
        large = len(self.state.keys) // 5_000  # saving a million keys takes seconds, reading a few more claims does not
        if self.state.number - (self.saved or 0) >= max(self.every, large):
            self.checkpoint()
        return True

    def claim(self, number: int) -> Claim:
        """Return a claim that is known to exist.

        Raises:
            UserError: It is damaged or missing.
        """
        if number not in self.claims:
            data = self._get(layout.claim(self.table.name, number))
            if data is None:
                raise self._lost(number)
            self.claims[number] = self._decode(number, data)
        return self.claims[number]

    def _decode(self, number: int, data: bytes) -> Claim:
        try:
            return log.decode(number, data)
        except ValueError as error:
            raise self.damaged(layout.claim(self.table.name, number), error) from error

    def damaged(self, key: str, error: Exception) -> UserError:
        """Return the error to raise about an object that cannot be read, although the store has it."""
        text = " ".join(str(error).split())[:200]
        return UserError(
            f"{self.store.url(key)} is damaged: {text}", hint="`nst fsck` lists everything that is damaged"
        )

    def _lost(self, number: int) -> UserError:
        text = f"{self.store.url(layout.claim(self.table.name, number))} is missing, but later claims are there"
        return UserError(text, hint="restore it from a backup: claims are history; `nst fsck` checks the root")

    def checkpoint(self) -> None:
        """Save the folded log; readers start from it. Derived from the log, so overwriting is harmless."""
        number = self.state.number
        self.store.put(layout.checkpoint(self.table.name, number), self.state.pack())
        self.saved = number

    def _fold(self, claim: Claim) -> None:
        self.state.apply(claim, self.table.name, self.codec.suffix)
        self.claims = {claim.number: claim}  # only the newest is needed often

    def _load(self) -> None:
        """Start from the newest checkpoint that can be read; from nothing if there is none.

        How far the log goes is looked up once: to read on until a claim is missing would take a lost one for the end.
        """
        table = self.table.name
        numbers = (layout.claim_number(table, stat.key) for stat in self.store.list(layout.claims(table)))
        self.least = 1 + max((number for number in numbers if number is not None), default=-1)
        for stat in reversed(self.store.list(layout.checkpoints(self.table.name))):
            try:
                self.state = State.unpack(self.store.get(stat.key))
            except FileNotFoundError:
                continue
            except ValueError:
                LOGGER.warning("checkpoint %s is not readable; the log is read instead", stat.key)
                continue
            break
        self.saved = self.state.number

    # ---- commit records

    def pending(self) -> list[str]:
        """Return the names of the commit records in the store, claimed or not.

        To know what is unpublished, list first and fold the log afterwards: a record that vanished before the listing
        is then certainly in the log.
        """
        return [layout.record_name(self.table.name, s.key) for s in self.store.list(layout.records(self.table.name))]

    def read_records(self, names: list[str]) -> list[Record]:
        """Return records in order.

        Raises:
            Moved: A record is gone, which means that it was published and cleared away in the meantime.
            UserError: A record is not readable.
        """
        found = []
        for name, data in zip(names, self.fetch([layout.record(self.table.name, n) for n in names]), strict=True):
            if data is None:
                raise Moved(name)
            try:
                found.append(records.decode(self.table, name, data))
            except ValueError as error:
                raise self.damaged(layout.record(self.table.name, name), error) from error
        return found

    def readable(self, names: list[str]) -> list[Record]:
        """Return the records that this version of nst can publish; other records are logged and left alone.

        Raises:
            Moved: A record is gone.
        """
        found = []
        for name, data in zip(names, self.fetch([layout.record(self.table.name, n) for n in names]), strict=True):
            if data is None:
                raise Moved(name)
            try:
                record = records.decode(self.table, name, data)
            except ValueError as error:
                LOGGER.error("%s; it is left alone: run `nst fsck`", error)  # noqa: TRY400  no traceback is needed
                continue
            unknown = record.unknown(self.table)
            if unknown:
                LOGGER.warning("record %s waits for a newer nst: columns %s are unknown", name, sorted(unknown))
                continue
            found.append(record)
        return found

    # ---- requests

    def fetch(self, keys: list[str]) -> list[bytes | None]:
        """Return the bytes of many objects, None for each that is missing."""
        return self.each(self._get, keys)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove many objects."""
        self.each(self.store.delete, list(keys))

    def each(self, do: Callable[[_Item], _Found], items: list[_Item]) -> list[_Found]:
        """Return `do(item)` for every item, several at once."""
        if self.threads < 2 or len(items) < 2:
            return [do(item) for item in items]
        try:
            with ThreadPoolExecutor(min(self.threads, len(items)), "catalog") as pool:
                return list(pool.map(do, items))
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            return [do(item) for item in items]  # where memory has no room for another stack, one by one

    def _get(self, key: str) -> bytes | None:
        try:
            return self.store.get(key)
        except FileNotFoundError:
            return None

    def back_off(self, attempt: int, limit: int = 30) -> None:
        """Wait before the next attempt, longer after each.

        Raises:
            StorageError: There were too many attempts: a file is missing that no other process is about to write.
        """
        if attempt >= limit:
            raise StorageError(
                f"table {self.table.name!r}: files of the claim log stay missing", hint="run `nst fsck` on the root"
            )
        self.sleep(min(0.01 * 1.3**attempt, 1.0))
