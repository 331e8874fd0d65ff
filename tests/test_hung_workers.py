"""Workers that hang: noticed by missing beats or by a job that does not move, killed, and replaced."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from broken import serve_broken, serve_late
from sweeps import TINY, plan, write_pictures
from warm import CONTEXT

from tasks.work import beats
from tasks.work.fanout import Chunk, Fanout
from tasks.work.worker import Worker
from tasks.work.workers import DevicePool

BEAT_S = 0.1
PATIENCE_S = 1.2


class Patience:
    """What `beats` is for the owner of workers: it loses its patience with one worker alone, which hangs for certain.

    With others its patience is endless: a busy machine may keep a process that works from saying so.
    """

    INTERVAL_S = BEAT_S

    def __init__(self, hanging, *, silent=False):
        self._hanging, self._silent = hanging, silent

    def _seconds(self, wanted):
        return PATIENCE_S if wanted and is_alive(self._hanging()) else math.inf

    @property
    def SILENT_S(self):  # noqa: N802
        return self._seconds(self._silent)

    @property
    def STUCK_S(self):  # noqa: N802
        return self._seconds(not self._silent)


def is_alive(pid):
    return bool(pid) and Path(f"/proc/{pid}").exists()


@pytest.fixture
def prepared(tmp_path):
    sweep = f"{{name: a, contents: cat.png, styles: waves.png, method: {{name: gatys, {TINY}}}}}"
    return plan(write_pictures(tmp_path), sweep)


def run(prepared, device="cpu", on_step=None):
    (batch,) = prepared.plan.batches()
    with DevicePool(prepared.root, [device], on_step, lambda _: None) as pool:
        if on_step:
            on_step.pool = pool
        (outcome,) = Fanout(pool, prepared.root.catalog).stylize(Chunk((prepared.job(batch),)))
    return outcome


class Stopper:
    """Stops the pool's worker in the middle of its first batch."""

    pool: DevicePool
    stopped = 0

    def __call__(self, *_):
        if not self.stopped:
            (self.stopped,) = self.pool.pids()
            os.kill(self.stopped, signal.SIGSTOP)


def test_a_worker_that_is_stopped_is_replaced_and_its_batch_done(prepared, monkeypatch, caplog):
    stopper = Stopper()
    monkeypatch.setattr("tasks.work.worker.beats", Patience(lambda: stopper.stopped, silent=True))
    outcome = run(prepared, on_step=stopper)
    assert outcome.failed == ()
    assert outcome.done == tuple(prepared.plan.cells.ids)
    assert not is_alive(stopper.stopped)
    assert "the worker of cpu said nothing for 1.2 s and was killed" in caplog.messages


def test_a_worker_whose_job_hangs_is_replaced_and_its_batch_done(prepared, monkeypatch, caplog):
    monkeypatch.setattr("tasks.work.worker.serve", serve_broken)
    hung = Path(prepared.root.uri.removeprefix("file://")).parent / "hung"
    monkeypatch.setattr("tasks.work.worker.beats", Patience(lambda: hung.exists() and hung.read_text()))
    outcome = run(prepared, "hangs")
    assert outcome.failed == ()
    assert outcome.done == tuple(prepared.plan.cells.ids)
    assert "the worker of hangs made no step for 0.02 min and was killed" in caplog.messages


def test_a_worker_beats_before_it_has_loaded_anything(prepared, tmp_path):
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=serve_late, args=(there, prepared.root, "cpu", 1, BEAT_S))
    process.start()
    there.close()
    said = [here.recv() for _ in range(4)]
    assert [kind for kind, _, _ in said] == ["beat"] * 4
    assert said[-1][2] > 0, "a start that hangs is noticed, too"
    (tmp_path / "go").touch()
    while (message := here.recv())[0] == "beat":
        said.append(message)
    assert message[0] == "ready"
    while here.recv()[2]:
        pass  # a beat on its way; a worker without a job says 0
    here.close()
    process.join(60)
    assert process.exitcode == 0


def watched(monkeypatch, unread, beats_until_end, heard_at=()):
    """Return whether a worker is killed that is watched for some intervals, and says nothing but what is told here."""
    worker, killed, count = Worker(None, "cpu", 1), [], 0

    def wait(*_):
        nonlocal count
        count += 1
        worker._heard += count in heard_at
        return count > beats_until_end

    monkeypatch.setattr("tasks.work.worker.wait", wait)
    worker.process = SimpleNamespace(sentinel=0, kill=lambda: killed.append(True))
    worker._watch(worker.process, SimpleNamespace(poll=lambda: unread(count)))
    return bool(killed)


ENOUGH = int(beats.SILENT_S / beats.INTERVAL_S)


def test_silence_counts_only_while_nothing_waits_to_be_read(monkeypatch):
    """As after the parent itself was stopped, or while it is busy with what it was told."""
    assert watched(monkeypatch, lambda _: False, ENOUGH + 1)
    assert not watched(monkeypatch, lambda _: False, ENOUGH - 1)
    assert not watched(monkeypatch, lambda _: True, 100 * ENOUGH)
    assert not watched(monkeypatch, lambda count: count % (ENOUGH - 1) == 0, 100 * ENOUGH)
    assert not watched(monkeypatch, lambda _: False, 100 * ENOUGH, heard_at=range(0, 100 * ENOUGH, ENOUGH - 1))


def test_a_job_that_has_not_moved_is_counted_in_beats_and_not_by_the_clock(monkeypatch):
    """So that a worker that was stopped for a night together with its parent has not been idle for a night."""
    work, told, moments = beats._Work(), [], iter([0.0, 1e6, 2e6, 3e6, 4e6, 5e6, 6e6, 7e6])
    monkeypatch.setattr(beats, "_WORK", work)

    class Ended(BaseException):
        pass

    steps = iter([beats.begun, lambda: None, lambda: None, beats.moved, lambda: None, beats.ended, lambda: None])

    def pause(*_):
        step = next(steps, None)
        if step is None:
            raise Ended
        step()

    monkeypatch.setattr(beats.threading, "Event", lambda: SimpleNamespace(wait=pause))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    monkeypatch.setattr(beats.threading, "Thread", lambda target, **_: SimpleNamespace(start=target))
    with pytest.raises(Ended):
        beats.start_beating(told.append, 15.0)
    assert told == [0, 0, 15, 30, 0, 15, 0, 0]
