"""One run at a time on each accelerator of a machine: real processes, really killed, and devices of invented names."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import pytest
from sweeps import TINY, plan, write_pictures
from warm import CONTEXT

from flows.engine import InlineEngine
from flows.order.sweep import run_sweep
from flows.stop import begin
from nst.errors import Stopped
from tasks import devices
from tasks.devices import find_devices, name_on_machine
from tasks.doctor import examine
from tasks.work.locks import DeviceLock, lock_of
from tasks.work.workers import DevicePool

DEADLINE_S = 240


def hold(folder, name, told):
    """Be a process that holds the lock of a device until it is killed."""
    told.send(DeviceLock(name, folder).acquire())
    threading.Event().wait()


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the device `toy`."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold, args=(tmp_path, "toy", there))
    process.start()
    assert here.recv()
    yield process
    process.kill()
    process.join()


def test_a_lock_is_one_process_alone_and_free_when_that_is_killed(tmp_path, holder):
    lock, other = (DeviceLock(name, tmp_path) for name in ("toy", "another"))
    assert not lock.acquire()
    assert lock.holder().startswith(f"process {holder.pid} (")
    assert other.acquire(), "the lock of another device"
    holder.kill()
    holder.join()
    assert lock.holder() == ""
    assert lock.acquire()
    assert lock.acquire(), "held already"


def test_a_lock_that_is_given_back_is_free(tmp_path):
    first, second = DeviceLock("toy", tmp_path), DeviceLock("toy", tmp_path)
    assert first.holder() == ""
    assert first.acquire()
    assert not second.acquire()
    assert second.holder().startswith(f"process {os.getpid()} (")
    first.release()
    assert second.holder() == ""
    assert second.acquire()
    second.release()
    second.release()
    assert list(tmp_path.iterdir()) == [first.path], "a file that is removed could be locked twice"


def test_every_user_of_the_machine_may_lock_the_file(tmp_path):
    before = os.umask(0o077)
    try:
        DeviceLock("toy", tmp_path).acquire()
    finally:
        os.umask(before)
    assert (tmp_path / "nst-device-toy.lock").stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("mode", [0o400, 0o444], ids=oct)
def test_a_file_that_may_only_be_read_is_locked_all_the_same(tmp_path, monkeypatch, mode):
    path = tmp_path / "nst-device-toy.lock"
    path.write_text("")
    path.chmod(mode)
    opened = os.open

    def of_another_user(file, flags, *rest):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", file)
        return opened(file, flags, *rest)

    monkeypatch.setattr(os, "open", of_another_user)
    first, second = DeviceLock("toy", tmp_path), DeviceLock("toy", tmp_path)
    assert first.acquire()
    assert not second.acquire()
    assert second.holder() == "another process"


def unreadable(path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refused)


@pytest.mark.parametrize(
    "prevent",
    [
        unreadable,
        lambda path, _: path.mkdir(),
        lambda path, _: path.symlink_to(path.parent / "elsewhere"),
        lambda path, _: path.symlink_to(path.parent / "mine"),
        lambda path, _: path.hardlink_to(path.parent / "mine"),
        lambda path, _: os.mkfifo(path),
    ],
    ids=["not allowed", "a folder", "a link to nothing", "a link", "another name", "a pipe"],
)
def test_what_cannot_be_locked_is_said_once_and_used_without(tmp_path, monkeypatch, caplog, prevent):
    lock = DeviceLock("toy", tmp_path)
    (tmp_path / "mine").write_text("a file of this user")
    with monkeypatch.context() as patch:
        prevent(lock.path, patch)
        assert lock.acquire()
        assert lock.acquire()
        assert lock.holder() == ""
        lock.release()
    (said,) = caplog.messages
    assert said.startswith(f"{lock.path} cannot be locked (")
    assert said.endswith("); going on without")
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "mine").read_text() == "a file of this user"


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[" * 900, b"{}", b"[4711]", b'{"pid": "x", "what": "nst"}', b"x" * 5000]
)
def test_a_holder_of_which_nothing_can_be_read_is_another_process(tmp_path, text):
    lock = DeviceLock("toy", tmp_path)
    lock.acquire()
    lock.path.write_bytes(text)
    assert lock.holder() == "another process"


def test_what_a_file_says_of_its_holder_is_shown_and_not_obeyed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["/usr/bin/nst", "run", "night\x1b[2J\n.yaml", "s3://key:secret@bucket/" + "x" * 500]
    )
    lock = DeviceLock("toy", tmp_path)
    lock.acquire()
    said = lock.holder()
    assert said.startswith(f"process {os.getpid()} (nst run night?[2J?.yaml ")
    assert "secret" not in said
    assert len(said) < 150


def test_a_gpu_is_named_by_its_uuid_where_the_driver_tells_it(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA X (UUID: GPU-aa-0)'\necho 'GPU 1: NVIDIA X (UUID: GPU-bb-1)'\n")
    command.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    devices._gpus.cache_clear()
    assert find_devices() == ["cuda:0", "cuda:1"]
    assert [name_on_machine(name) for name in ("cuda:1", "cuda", "cuda:GPU-bb-1", "cuda:7")] == [
        "GPU-bb-1", "GPU-aa-0", "GPU-bb-1", "cuda-7"
    ]  # fmt: skip
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert name_on_machine("cuda") == "GPU-bb-1", "the first that the environment shows"
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    devices._gpus.cache_clear()
    assert [name_on_machine(name) for name in ("cuda:1", "mps", "cpu")] == ["cuda-1", "mps", ""]
    assert lock_of("cpu") is None
    devices._gpus.cache_clear()


# ---- pools ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.work.worker.serve", serve_anywhere)
    sweep = f"{{name: a, contents: [cat.png, dog.png], styles: waves.png, method: {{name: gatys, {TINY}}}}}"
    return plan(write_pictures(tmp_path), sweep)


def serve_anywhere(*arguments):
    """Be a worker whose device computes on the CPU, whatever its name."""
    from broken import serve_broken

    serve_broken(*arguments)


def pool_on(prepared, folder, *names):
    return DevicePool(prepared.root, names, lock_of=lambda name: DeviceLock(name.partition("/")[0], folder))


def wait_until(is_so):
    until = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_pool_waits_for_a_device_that_another_run_uses_and_works_on_the_others(prepared, tmp_path, holder, caplog):
    jobs = [prepared.job(batch) for batch in prepared.plan.batches()]
    with pool_on(prepared, tmp_path, "toy", "free") as pool:
        for job in jobs:
            (workers,) = {pool.run(job).rows[0]["worker"].partition("-")[0]}
            assert workers == "free"
        assert len(pool.pids()) == 1
        holder.kill()
        wait_until(lambda: len(pool.pids()) == 2)
    (said,) = caplog.messages
    assert said.startswith(f"toy is used by process {holder.pid} (")
    assert said.endswith("); waiting")
    assert DeviceLock("toy", tmp_path).acquire(), "a pool that is closed gives its locks back"
    assert DeviceLock("free", tmp_path).acquire()


def test_a_pool_whose_devices_are_all_used_waits_until_it_is_closed(prepared, tmp_path, holder):
    pool, ends = pool_on(prepared, tmp_path, "toy"), []
    (job, _) = [prepared.job(batch) for batch in prepared.plan.batches()]

    def work():
        with pytest.raises(Stopped):
            pool.run(job)
        ends.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    pool.close()
    thread.join(DEADLINE_S)
    assert ends == [True]
    assert pool.pids() == []
    holder.kill()
    holder.join()
    assert DeviceLock("toy", tmp_path).acquire(), "no thread of it takes the lock later"


def test_a_device_that_is_named_twice_has_two_workers_under_one_lock(prepared, tmp_path):
    with pool_on(prepared, tmp_path, "toy", "toy/") as pool:
        wait_until(lambda: len(pool.pids()) == 2)
        assert not DeviceLock("toy", tmp_path).acquire()


def test_the_doctor_says_who_uses_a_device(tmp_path, monkeypatch, holder):
    monkeypatch.setattr("tasks.doctor.lock_of", lambda _: DeviceLock("toy", tmp_path))
    found = [(found.level, found.text) for found in examine(str(tmp_path / "root")) if found.subject == "device"]
    assert found[0][0] == "note"
    assert f"cpu is used by process {holder.pid} (" in found[0][1]


def test_the_doctor_tests_each_device(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.doctor.device_fault", lambda device: f"{device} is broken")
    found = [(found.level, found.text) for found in examine(str(tmp_path / "root")) if found.subject == "device"]
    assert found == [("bad", "cpu fails its self-test: cpu is broken")]


def test_runs_that_share_a_sweep_and_a_device_do_not_wait_for_each_other(tmp_path):
    """Whoever waits for the device has claimed nothing, or the one that has it would wait for those cells."""
    write_pictures(tmp_path)
    manifest = f"name: x\ncontents: cat.png\nstyles: waves.png\nmethod: {{name: gatys, init: noise, {TINY}}}\n"
    manifest += "sweep: {seed: {count: 12}}\nbatch_size: 1\n"
    runs = []
    for _ in range(2):
        prepared = plan(tmp_path, manifest)
        pool = DevicePool(prepared.root, ["cpu"], lock_of=lambda _: DeviceLock("toy", tmp_path))
        runs.append(begin(partial(run_sweep, prepared, pool, InlineEngine(1))))
    summaries = [each.result(timeout=DEADLINE_S) for each in runs]
    assert sorted((each.done, each.done_by_others) for each in summaries) == [(0, 12), (12, 0)]
