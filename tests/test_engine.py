from __future__ import annotations

import _thread
import subprocess
import sys
import threading

import pytest

from flows.engine import InlineEngine, completed, notify_watcher, watching
from nst.errors import InputError, Stopped, StorageError
from tasks.effect import effect


def results(engine, fn, items, window):
    """Yield the results of `fn` as they finish, as the orders of steps take them."""
    for _, future in completed(engine, fn, items, window):
        yield future.result()


def test_every_result_comes_back_once():
    with InlineEngine(3) as engine:
        assert sorted(results(engine, lambda n: n * n, range(50), 6)) == [n * n for n in range(50)]


def test_items_are_taken_only_when_there_is_room():
    taken, release = [], threading.Event()

    def items():
        for n in range(1000):
            taken.append(n)
            yield n

    def work(n):
        if n:
            release.wait(200)
        return n

    with InlineEngine(2) as engine:
        finished = completed(engine, work, items(), 4)
        assert next(finished)[0] == 0
        assert len(taken) == 5  # four unfinished and the one that has finished
        release.set()
        finished.close()


def test_at_most_max_workers_run_at_one_time():
    lock, running, most = threading.Lock(), [0], [0]
    barrier = threading.Barrier(2, timeout=200)

    def work(n):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        barrier.wait()
        with lock:
            running[0] -= 1
        return n

    with InlineEngine(2) as engine:
        assert len(list(results(engine, work, range(8), 8))) == 8
    assert most[0] == 2


def test_transient_errors_are_retried_in_the_engine():
    failures = [StorageError("503"), StorageError("503")]

    @effect(retries=2, retry_delays_s=(0,))
    def work(n):
        if failures:
            raise failures.pop()
        return n

    with InlineEngine() as engine:
        assert list(results(engine, work, [1, 2], 1)) == [1, 2]


def test_an_error_stops_the_submission():
    seen = []

    def work(n):
        seen.append(n)
        if n == 3:
            raise InputError("bad image")
        return n

    engine = InlineEngine(1)
    with pytest.raises(InputError, match="bad image"), engine:
        list(results(engine, work, range(1000), 2))
    assert len(seen) < 10
    assert engine.stopping.is_set()


def test_completed_pairs_items_with_errors_and_goes_on():
    def work(n):
        if n % 2:
            raise InputError(str(n))
        return n

    with InlineEngine(2) as engine:
        outcome = {n: future.exception() for n, future in completed(engine, work, range(6), 3)}
    assert {n for n, error in outcome.items() if error} == {1, 3, 5}


def test_stopping_ends_the_window_and_wakes_a_waiting_retry():
    @effect(retries=5, retry_delays_s=(600,))
    def work(n):
        started.set()
        raise StorageError("503")

    started = threading.Event()
    engine = InlineEngine(1)
    threading.Thread(target=lambda: (started.wait(200), engine.stopping.set())).start()
    with pytest.raises(Stopped), engine:
        list(results(engine, work, range(9), 2))


def test_control_c_stops_the_submission():
    seen, interrupt = [], iter([True])

    def work(n):
        seen.append(n)
        if n == 2 and next(interrupt, False):
            _thread.interrupt_main()
        return n

    engine = InlineEngine(1)
    with pytest.raises(KeyboardInterrupt), engine:
        for _ in results(engine, work, range(100_000), 2):
            pass
    assert len(seen) < 50_000


def test_progress_reaches_the_watcher_only_inside_its_context():
    heard = []
    with InlineEngine() as engine:
        with watching(lambda *progress: heard.append(progress)):
            engine.progress(1, 4, "one")
        engine.progress(2, 4, "two")
    notify_watcher(3, 4, "three")
    assert heard == [(1, 4, "one")]


def test_the_inline_engine_never_imports_prefect():
    code = "import sys, flows.engine; sys.exit(any(m in sys.modules for m in ('prefect', 'torch', 'fsspec')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
