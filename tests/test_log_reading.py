"""What reading a log of claims costs: a new process asks for the claims that are there, and for the next one."""

from __future__ import annotations

import re
import uuid

import pytest

from tasks.catalog import Catalog
from tasks.store import open_store

TABLE = "results"


class Counting:
    """A store that notes the numbers of the claims that it is asked for."""

    def __init__(self, store):
        self.store, self.asked = store, []

    def __getattr__(self, name):
        return getattr(self.store, name)

    def get(self, key, **options):
        if found := re.fullmatch(rf"state/{TABLE}/log/(\d+)\.json", key):
            self.asked.append(int(found[1]))
        return self.store.get(key, **options)


def publish(store, first, count):
    catalog = Catalog(store)
    for number in range(first, first + count):
        catalog.commit(TABLE, "s", f"b{number}", [{"cell_id": f"c{number}"}])
        catalog.publish(TABLE)


@pytest.fixture
def counting():
    return Counting(open_store(f"memory://{uuid.uuid4().hex}/root"))


@pytest.mark.parametrize("claims", [0, 1, 3, 20])
def test_a_new_process_asks_for_the_claims_that_are_there_and_for_the_next(counting, claims):
    publish(counting.store, 0, claims)
    assert len(Catalog(counting).keys(TABLE)) == claims
    assert sorted(counting.asked) == list(range(claims + 1))


def test_one_that_follows_the_log_asks_for_the_next_and_finds_many_in_few_rounds(counting):
    catalog = Catalog(counting)
    publish(counting.store, 0, 2)
    assert len(catalog.keys(TABLE)) == 2
    counting.asked.clear()
    assert len(catalog.keys(TABLE)) == 2
    assert counting.asked == [2]
    publish(counting.store, 2, 30)
    rounds = []
    catalog.ledger(TABLE).each = lambda do, keys: (rounds.append(len(keys)), [do(key) for key in keys])[1]
    catalog.ledger(TABLE).sync()
    assert catalog.ledger(TABLE).state.number == 32
    assert rounds == [1, 2, 4, 8, 16], "each round asks for twice as many, and sixteen at most"
