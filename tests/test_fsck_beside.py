"""fsck beside somebody who publishes, merges files and drops rows at any moment of it: a whole root is whole."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tasks.catalog import Catalog
from tasks.fsck.check import Report, _check_table
from tasks.store import open_store

if TYPE_CHECKING:
    from tasks.store import Store


class Disturbed:
    """A store beside which something happens before its nth operation on the table `results`."""

    def __init__(self, store: Store, nth: int, happen: Any) -> None:
        self._store, self._nth, self._happen, self.operations = store, nth, happen, 0
        self._happened = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in {"get", "list", "head"}:
            return found

        def operation(*args: Any, **kwargs: Any) -> Any:
            self.operations += "/results/" in str(args[0])
            if self.operations == self._nth and not self._happened:
                self._happened = True
                self._happen()
            return found(*args, **kwargs)

        return operation


def publish(catalog: Catalog, number: int) -> None:
    data = b"picture %d" % number
    digest = hashlib.sha256(data).hexdigest()
    catalog.store.put(f"pictures/{digest[:2]}/{digest}.png", data)
    row = {"cell_id": f"c{number}", "picture_digest": digest, "picture_bytes": len(data)}
    catalog.commit("results", "s", f"b{number}", [row])
    catalog.publish("results")


@pytest.mark.parametrize("what", ["publish", "compact", "drop"])
def test_nothing_is_wrong_whatever_others_do_at_any_moment(what: str) -> None:
    nth = 0
    for nth in count(1):
        store = open_store(f"memory://beside-{what}-{nth}")
        writer = Catalog(store, checkpoint_every=2)
        for number in range(3):
            publish(writer, number)

        def happen(writer: Catalog = writer) -> None:
            if what == "publish":
                publish(writer, 3)
            elif what == "compact":
                assert writer.compact("results", open_files=1)
            else:
                assert writer.drop("results", "cell_id", {"c1"}) == 1

        disturbed, report = Disturbed(store, nth, happen), Report()
        _check_table(Catalog(disturbed).ledger("results"), report)  # type: ignore[arg-type]
        assert report.ok, (nth, report.lines())
        if disturbed.operations < nth:  # it is through
            break
    assert nth > 10
