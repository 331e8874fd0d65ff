"""One publisher at a time, on stores that cannot refuse to overwrite.

Every contender writes a ticket under a name of its own and then lists the tickets. Alone, it goes ahead; otherwise it
takes its ticket back and waits. Two can never both go ahead, since the later of two listings sees both tickets. This
needs strongly consistent listings and roughly equal clocks (a dead publisher's ticket runs out after `LIFE` seconds),
and it cannot stop a request of a dead publisher that arrives after its ticket ran out: such a store is second best.
"""

from __future__ import annotations

import json
import random
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nst.errors import StorageError
from tasks.catalog import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.catalog.ledger import Ledger

LIFE = 300.0
PATIENCE = 900.0


@contextmanager
def lease(ledger: Ledger, *, needed: bool) -> Iterator[None]:
    """Hold the table's only publisher's place; nothing to do where the store has create-only writes.

    Raises:
        StorageError: If others held it for a quarter of an hour, or this one was too slow to keep it.
    """
    if not needed:
        yield
        return
    turn = _Turn(ledger, f"{layout.tickets(ledger.table.name)}{uuid.uuid4().hex}.json")
    turn.wait()
    before, ledger.guard = ledger.guard, turn.keep
    try:
        yield
    finally:
        ledger.guard = before
    ledger.store.delete(turn.key)  # after an error it runs out instead: a claim of ours may still be on its way


class _Turn:
    """One contender's ticket."""

    def __init__(self, ledger: Ledger, key: str) -> None:
        self.ledger = ledger
        self.key = key
        self.until = 0.0

    def wait(self) -> None:
        """Return once this is the only ticket that has not run out."""
        end = self.ledger.clock() + PATIENCE
        while not self._alone():
            if self.ledger.clock() > end:
                raise StorageError(f"another publisher holds table {self.ledger.table.name!r}", hint="run again later")
            self.ledger.sleep(random.uniform(0.2, 2.0))  # noqa: S311  no secret

    def keep(self) -> None:
        """Make sure that at least a third of the ticket's life is left, for a claim that is slow on its way."""
        if LIFE / 3 < self.until - self.ledger.clock() < LIFE * 2 / 3:
            self._write()
        if self.until - self.ledger.clock() < LIFE / 3:
            raise StorageError(f"this publisher of {self.ledger.table.name!r} lost its turn", hint="run again")

    def _write(self) -> None:
        until = self.ledger.clock() + LIFE
        self.ledger.store.put(self.key, json.dumps({"until": until}).encode())
        self.until = until

    def _alone(self) -> bool:
        self._write()
        store = self.ledger.store
        for stat in store.list(layout.tickets(self.ledger.table.name)):
            if stat.key == self.key:
                continue
            try:
                until = json.loads(store.get(stat.key))["until"]
            except FileNotFoundError:
                continue
            if until > self.ledger.clock():
                store.delete(self.key)
                return False
            store.delete(stat.key)
        return True
