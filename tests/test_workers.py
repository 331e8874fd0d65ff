"""Device workers: real processes, really killed."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time

import pandas as pd
import pytest

from nst.config import GatysConfig
from nst.errors import NstError, Stopped, StorageError, UserError
from nst.identity import hex_of
from nst.pictures.images import encode
from nst.records import Batch, Cell, ImageRef, OutputFormat, StyleRef
from tasks.devices import find_devices
from tasks.inputs.digests import Digests
from tasks.inputs.uris import stat_uri
from tasks.jobs import BatchOutcome, Job
from tasks.maintenance import publish_all
from tasks.root import open_root
from tasks.work.devices import choose_devices, usable_cores
from tasks.work.fanout import Chunk, Fanout, alone_id
from tasks.work.worker import Worker
from tasks.work.workers import DevicePool

STEPS = 6


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path / "root"))


@pytest.fixture
def job(root, tmp_path):
    """A batch of three cells on a real picture."""
    import skimage.data

    path = tmp_path / "cat.png"
    path.write_bytes(encode(skimage.data.chelsea()[::4, ::4], OutputFormat(), {}))
    digest = Digests(root.store).of([stat_uri(f"file://{path}")])[0]
    image = ImageRef("cat", f"file://{path}", digest)
    style = StyleRef("cat", (image,), (1.0,))

    def cell(number):
        config = GatysConfig(
            size=32, steps=STEPS, content_layers=["relu1_1"], style_layers=["relu1_1"], style_weight=number,
            backbone={"name": "vgg16", "weights": "random"},
        )  # fmt: skip
        return Cell(hex_of([str(number)]), image, style, config)

    cells = tuple(cell(number) for number in (1, 2, 3))
    return Job(Batch("batch", cells, "random", 1.0), "sweep", "kills", "random")


class Killer:
    """Kills the pool's worker in the middle of chosen batches; `on_step` of the pool."""

    def __init__(self, times, guilty=lambda _: True):
        self.left, self.guilty, self.pool, self.killed = times, guilty, None, 0

    def __call__(self, batch_id, step, steps):
        if self.left and self.guilty(batch_id):
            self.left -= 1
            self.killed += 1
            os.kill(self.pool.pids()[0], signal.SIGKILL)


def run(root, job, killer):
    with DevicePool(root, ["cpu"], killer) as pool:
        killer.pool = pool
        outcome = Fanout(pool, root.catalog).stylize(Chunk((job,)))[0]
    publish_all(root.catalog)
    return outcome, root.catalog


def test_a_killed_worker_costs_its_batch_another_try_and_nothing_else(root, job):
    killer = Killer(1)
    outcome, catalog = run(root, job, killer)
    assert killer.killed == 1
    assert len(outcome.done) == 3
    assert outcome.failed == ()
    assert catalog.keys("results") == {cell.cell_id for cell in job.batch.cells}
    assert catalog.keys("failures") == set()


def test_a_cell_that_kills_every_worker_fails_alone(root, job):
    guilty = job.batch.cells[1]
    killer = Killer(99, guilty=lambda batch: batch in {job.batch.batch_id, alone_id(job, guilty)})
    outcome, catalog = run(root, job, killer)
    assert killer.killed == 4  # three times with the others, once alone
    assert set(outcome.done) == {job.batch.cells[0].cell_id, job.batch.cells[2].cell_id}
    assert [failure.cell_id for failure in outcome.failed] == [guilty.cell_id]
    failures = catalog.read("failures").to_pandas()
    assert list(failures.error_class) == ["WorkerLost"]
    assert "SIGKILL" in failures.error_message[0]
    dead = failures.iloc[0]  # what the parent can know of a worker that is gone
    assert (dead.device, dead.python_version) == ("cpu", platform.python_version())
    assert dead.worker.startswith("cpu-")
    workers = catalog.read("results").to_pandas().set_index("cell_id").worker
    before, _, after = (cell.cell_id for cell in job.batch.cells)
    assert workers[before] == dead.worker != workers[after]  # it was replaced after it died
    assert dead.started_at <= dead.failed_at
    assert dead.notna()[["nst_version", "torch_version"]].all()
    assert set(pd.read_parquet(f"{root.uri}/catalog/results").cell_id) == set(outcome.done)


def test_closing_the_pool_in_the_middle_of_a_batch_blames_nobody(root, job):
    began = threading.Event()
    pool = DevicePool(root, ["cpu"], lambda *_: (began.set(), time.sleep(0.1)))
    errors = []

    def work():
        try:
            Fanout(pool, root.catalog).stylize(Chunk((job,)))
        except NstError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(200)
    pool.close()
    thread.join(200)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [Stopped]  # which no policy retries, unlike WorkerLost
    with pytest.raises(Stopped):
        pool.run(job)
    assert pool.pids() == []
    assert root.catalog.keys("failures") == set()


def test_a_worker_leaves_with_its_parent(root, tmp_path):
    """An orphan must not hold the device: kill -9 of the parent ends the worker within seconds."""
    import subprocess
    import sys

    code = (
        "import time; from tasks.root import open_root; from tasks.work.workers import DevicePool\n"
        "if __name__ == '__main__':\n"
        f"    pool = DevicePool(open_root({root.uri!r}), ['cpu']); print(*pool.pids(), flush=True); time.sleep(600)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 200
    while time.monotonic() < until:
        if not alive(child):
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_devices_are_those_that_the_environment_shows(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert find_devices() == ["cuda:2", "cuda:5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_devices() == ["cpu"]


@pytest.mark.parametrize("name", ["cuda:97", "cuda:x", "tpu", "CPU", "cpu:1", "mps:3"])
def test_a_device_that_this_machine_lacks_is_refused_before_the_start(name):
    with pytest.raises(UserError, match=f"no device '{name}'") as caught:
        choose_devices(["cpu", name])
    assert "nst doctor" in caught.value.hint


def test_devices_are_those_that_are_named_or_all(monkeypatch):
    assert choose_devices(["cpu", " cpu", ""]) == ("cpu", "cpu")  # two workers
    assert choose_devices([""]) == choose_devices() == tuple(find_devices())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert choose_devices(["cuda:5"]) == ("cuda:5",)


def test_who_shares_a_machine_bounds_its_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cores() == 1
    for wanted in ("", "0", "100000", "nonsense"):
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
        assert usable_cores() == os.cpu_count()


def test_an_error_of_a_batch_waits_for_the_batch_that_is_open_and_lets_no_other_begin(root, job):
    jobs = [Job(Batch(f"batch {n}", job.batch.cells, "random", 1.0), "sweep", "kills", "random") for n in (1, 2, 3)]
    worker = Worker(root, "cpu", 1)
    worker.process = multiprocessing.current_process()
    worker.connection, end = multiprocessing.Pipe()
    outcome = BatchOutcome("batch 2", (), ())
    seen = []

    def work():
        for key in ("batch 1", "batch 2"):
            seen.append(end.recv().key)
            end.send(("computed", key, None))
        end.send(("error", "batch 1", StorageError("no answer")))
        end.send(("done", "batch 2", outcome))

    thread = threading.Thread(target=work)
    thread.start()
    told = []
    (first, error), (second, done) = worker.run(jobs, lambda *what: told.append(what))
    thread.join()
    assert told == [("done", "batch 2", outcome)], "what is committed is told at once"
    assert seen == ["batch 1", "batch 2"]
    assert (first, type(error)) == (jobs[0], StorageError)
    assert (second, done) == (jobs[1], outcome)
    assert not end.poll(), "the third batch was not begun"
