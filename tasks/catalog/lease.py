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
        StorageError: If others held it for a quarter of an hour.
    """
    if not needed:
        yield
        return
    name = uuid.uuid4().hex
    key = f"{layout.tickets(ledger.table.name)}{name}.json"
    end = ledger.clock() + PATIENCE
    while not _alone(ledger, key):
        if ledger.clock() > end:
            raise StorageError(f"another publisher holds table {ledger.table.name!r}", hint="run again later")
        ledger.sleep(random.uniform(0.2, 2.0))  # noqa: S311  no secret
    try:
        yield
    finally:
        ledger.store.delete(key)


def _alone(ledger: Ledger, key: str) -> bool:
    now = ledger.clock()
    ledger.store.put(key, json.dumps({"until": now + LIFE}).encode())
    for stat in ledger.store.list(layout.tickets(ledger.table.name)):
        if stat.key == key:
            continue
        try:
            until = json.loads(ledger.store.get(stat.key))["until"]
        except FileNotFoundError:
            continue
        if until > now:
            ledger.store.delete(key)
            return False
        ledger.store.delete(stat.key)
    return True
