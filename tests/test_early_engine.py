"""Effects that begin before there is a flow are carried out once, and have a place in whatever takes over."""

from __future__ import annotations

import threading

import pytest

from flows.early import EarlyEngine
from flows.engine import InlineEngine, completed
from nst.errors import Stopped, TransientError
from tasks.effect import effect


class Recording(InlineEngine):
    """An engine that notes what it is given."""

    def __init__(self):
        super().__init__(2)
        self.futures, self.names, self.tables, self.steps = [], [], [], []

    def submit(self, fn, /, *args, **kwargs):
        self.names.append(fn.__name__)
        self.futures.append(super().submit(fn, *args, **kwargs))
        return self.futures[-1]

    def progress(self, done, total, text):
        self.steps.append((done, total, text))

    def show(self, rows, contact_sheet_jpeg):
        self.tables.append((rows, contact_sheet_jpeg))


def test_what_began_early_is_carried_out_once_and_joined():
    calls, go_on = [], threading.Event()

    def paint(n):
        calls.append(n)
        assert go_on.wait(60)
        return n * n

    with Recording() as late, EarlyEngine(1, threading.Event()) as engine:
        early = [engine.submit(paint, n) for n in (2, 3)]
        engine.show([{"row": 1}], b"sheet")
        engine.hand_over(late)
        later = engine.submit(paint, 4)
        engine.progress(1, 3, "")
        go_on.set()
        assert [future.result(60) for future in (*early, later)] == [4, 9, 16]
        assert [future.result(60) for future in late.futures] == [4, 9, 16]
    assert late.names == ["paint"] * 3
    assert sorted(calls) == [2, 3, 4]
    assert (late.tables, late.steps) == ([([{"row": 1}], b"sheet")], [(1, 3, "")])


def test_an_early_effect_that_fails_was_tried_as_often_as_its_policy_says_and_no_more():
    tries = []

    @effect(retries=2, retry_delays_s=(0,))
    def store():
        tries.append(1)
        raise TransientError("503")

    with Recording() as late, EarlyEngine(1, threading.Event()) as engine:
        early = engine.submit(store)
        engine.hand_over(late)
        for future in (early, *late.futures):
            with pytest.raises(TransientError, match="503"):
                future.result(60)
    assert len(tries) == 3


def test_a_stop_ends_what_has_begun_and_whoever_joined_it():
    stopping, began, go_on = threading.Event(), threading.Event(), threading.Event()

    def paint(n):
        began.set()
        assert go_on.wait(60)
        return n

    with Recording() as late, EarlyEngine(1, stopping) as engine:
        taken = completed(engine, paint, range(5), window=3)
        threading.Timer(0, lambda: (began.wait(60), engine.hand_over(late), stopping.set(), go_on.set())).start()
        with pytest.raises(Stopped):
            list(taken)
        assert {type(future.exception(60)) for future in late.futures} <= {type(None), Stopped}
        assert late.futures
