"""One publisher at a time, on stores that cannot refuse to overwrite.

Every publisher writes a ticket under a unique name and then lists the tickets. If its ticket is the only one, it goes
ahead; otherwise it removes its ticket and waits. Two publishers never both go ahead, since the later of two listings
shows both tickets. This needs strongly consistent listings and roughly equal clocks (the ticket of a dead publisher
expires after `LIFE` seconds), and it cannot stop a request of a dead publisher that arrives after its ticket expired:
such a store is second best.
"""

from __future__ import annotations

import json
import random
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import FiniteFloat, TypeAdapter

from nst.errors import StorageError
from nst.yaml.json_text import checked_json
from tasks.catalog import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.catalog.ledger import Ledger

LIFE = 300.0
"""Seconds after which a ticket expires."""

PATIENCE = 900.0
"""Seconds for which a publisher waits for its turn."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A ticket as its object holds it: when it expires, seconds since the epoch."""

    until: FiniteFloat


_TICKET: Final = TypeAdapter(_Ticket)


@contextmanager
def lease(ledger: Ledger, *, needed: bool) -> Iterator[None]:
    """Be the only publisher of the table inside the context.

    Args:
        ledger: The table.
        needed: Whether publishers must take turns; without, the context does nothing.

    Raises:
        StorageError: Other publishers took a quarter of an hour, or this one took longer than its ticket lasts.
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
    ledger.store.delete(turn.key)  # after an error it expires instead: a claim of ours may still be on its way


class _Turn:
    """The ticket of one publisher."""

    def __init__(self, ledger: Ledger, key: str) -> None:
        self.ledger = ledger
        self.key = key
        self.until = 0.0

    def wait(self) -> None:
        """Return when this is the only ticket that has not expired."""
        end = self.ledger.clock() + PATIENCE
        while not self._alone():
            if self.ledger.clock() > end:
                raise StorageError(f"another publisher holds table {self.ledger.table.name!r}", hint="run again later")
            self.ledger.sleep(random.uniform(0.2, 2.0))  # noqa: S311  no secret

    def keep(self) -> None:
        """Make sure that at least a third of the ticket's life is left, for a claim whose request is slow."""
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
                until = checked_json(_TICKET, store.get(stat.key)).until
            except FileNotFoundError:
                continue
            except ValueError:  # no publisher wrote it, and it must not stop them all
                until = 0.0
            # Nor did a publisher write one that lasts far longer than a ticket does; clocks differ a little.
            if 0 < until - self.ledger.clock() < 2 * LIFE:
                store.delete(self.key)
                return False
            store.delete(stat.key)
        return True
