from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from nst.errors import StorageError, UserError
from tasks.store import open_store, probe
from tasks.store.local import ASIDE, LocalStore

WRITER = """
import sys
from tasks.store import open_store
store = open_store(sys.argv[1])
for turn in range(10**6):
    body = bytes([turn % 251]) * (1 << 20)
    store.put("same", body)
    store.put(f"new/{turn % 40}", body, create=True)
    store.delete(f"new/{(turn + 20) % 40}")
    if turn == 3:
        print("writing", flush=True)
"""


def asides(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(ASIDE)]


def test_a_root_that_was_there_and_is_gone_is_not_made_again(tmp_path: Path) -> None:
    """A second root in its place would take what belongs to the first one, which was moved or whose disk is away."""
    root = tmp_path / "disk" / "root"
    store = LocalStore(root)
    store.put("a/b", b"1")
    root.parent.rename(tmp_path / "elsewhere")
    for opened in (store, LocalStore(tmp_path / "elsewhere" / "root")):
        shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
        with pytest.raises(UserError, match=r"root is gone \(was it moved, or is its disk away\?\)"):
            opened.put("a/c", b"2")
    assert not root.parent.exists()
    root.mkdir(parents=True)
    assert store.put("a/c", b"2")


def test_importing_the_store_loads_no_client_library():
    code = "import sys, tasks.store; print({'fsspec', 's3fs', 'aiohttp', 'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_writer_killed_at_any_moment_leaves_nothing_torn(tmp_path: Path):
    for turn in range(6):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(0.003 + 0.0037 * turn)
            writer.send_signal(signal.SIGKILL)
        store = open_store(tmp_path)
        stats = store.list("")
        assert "same" in {stat.key for stat in stats}
        for stat in stats:
            body = store.get(stat.key)
            assert len(body) == 1 << 20
            assert body == body[:1] * len(body)
            assert ASIDE not in stat.key


def race(root: str, start: float, racer: int) -> list[bool]:
    store = open_store(root)
    time.sleep(max(0.0, start - time.time()))
    return [store.put(f"claim/{turn}", b"racer %d" % racer, create=True) for turn in range(100)]


def test_of_many_processes_one_creates(tmp_path: Path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(abs, range(4))
        start = time.time() + 0.2
        won = pool.starmap(race, [(str(tmp_path), start, racer) for racer in range(4)])
    store = open_store(tmp_path)
    for turn, answers in enumerate(zip(*won, strict=True)):
        assert sum(answers) == 1
        assert store.get(f"claim/{turn}") == b"racer %d" % answers.index(True)
    assert asides(tmp_path) == []


def test_a_full_disk_is_an_error_and_nothing_is_torn(tmp_path: Path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a small disk: {mounted.stderr.strip()}")
    try:
        store = open_store(tmp_path)
        store.put("old", b"o" * 1000)
        acked, refused = [], []
        for turn in range(60):
            try:
                assert store.put(f"new/{turn}", b"%02d" % turn * 30_000, create=turn % 2 == 0)
                acked.append(f"new/{turn}")
            except StorageError as error:
                refused.append(str(error))
        assert refused
        assert all("No space left" in message for message in refused)
        assert sorted(acked) == [stat.key for stat in store.list("new/")]
        assert all(store.get(key) == b"%02d" % int(key[4:]) * 30_000 for key in acked)
        with pytest.raises(StorageError):
            store.put("old", b"n" * 1_900_000)
        assert store.get("old") == b"o" * 1000
        assert asides(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_size_limit_is_an_error_and_nothing_is_torn(tmp_path: Path):
    code = """
import resource, sys
from nst.errors import StorageError
from tasks.store import open_store
store = open_store(sys.argv[1])
store.put("old", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for key, create in (("old", False), ("new", True)):
    try:
        store.put(key, b"n" * 100_000, create=create)
    except StorageError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.count("File too large") == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("create", [True, False])
def test_a_failure_before_the_end_keeps_the_old_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, create: bool
):
    store = open_store(tmp_path)
    store.put("old", b"old")

    def fail(_: int) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises((StorageError, KeyboardInterrupt)):
            store.put("new" if create else "old", b"new", create=create)
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]
    assert store.get("old") == b"old"


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path: Path):
    store = open_store(tmp_path)
    store.put("a/b", b"1")
    old, young = tmp_path / "a" / f"{ASIDE}old", tmp_path / "a" / f"{ASIDE}young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert [stat.key for stat in store.list("")] == ["a/b"]
    assert asides(tmp_path) == [young]


def test_a_file_system_without_links_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = open_store(tmp_path)
    assert not probe(store).create_only
    assert store.put("k", b"1", create=True) is True
    assert store.put("k", b"2", create=True) is False
    assert asides(tmp_path) == []


def test_a_folder_on_another_disk_is_fine(tmp_path: Path):
    here = tmp_path.stat().st_dev
    others = [place for place in ("/dev/shm", tempfile.gettempdir()) if Path(place).is_dir()]
    elsewhere = next((place for place in others if Path(place).stat().st_dev != here), None)
    if elsewhere is None:
        pytest.skip(f"no second file system at {' or '.join(others)}")
    with tempfile.TemporaryDirectory(dir=elsewhere) as target:
        (tmp_path / "pictures").symlink_to(target)
        store = open_store(tmp_path)
        assert store.put("pictures/a.png", b"1", create=True)
        assert [stat.key for stat in store.list("")] == ["pictures/a.png"]


def test_a_root_that_is_a_file_is_the_users_to_mend(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write file://"):
        open_store(tmp_path / "file").put("k", b"")
    with pytest.raises(UserError, match="cannot write file://"):
        open_store(tmp_path / "file").put("deep/er/k", b"")


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("a link to nothing", lambda path: path.symlink_to("nowhere")),
        ("a link to itself", lambda path: path.symlink_to(path)),
        ("a folder", lambda path: path.mkdir()),
        ("a pipe or device", os.mkfifo),
    ],
)
def test_a_name_that_holds_no_file_is_neither_absent_nor_taken(tmp_path: Path, what: str, make):
    store = LocalStore(tmp_path)
    make(tmp_path / "k")
    for use in (
        store.get,
        store.digest,
        store.head,
        lambda key: store.put(key, b"1", create=True),
        lambda key: store.put(key, b"1"),
    ):
        with pytest.raises(UserError, match=f"{tmp_path}/k is {what}, not a file"):
            use("k")
    assert store.list("") == []
    assert list(store.names()) == [("k", what)]
    assert asides(tmp_path) == []


@pytest.mark.parametrize("link", ["root", "root/pictures", "root/a/b"])
def test_what_lies_behind_a_link_to_nothing_is_not_absent(tmp_path: Path, link: str):
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to("unplugged")
    store, key = LocalStore(tmp_path / "root"), f"{link}/deep/k".removeprefix("root/")
    for use in (
        store.get,
        store.head,
        store.digest,
        store.list,
        lambda key: store.put(key, b"1", create=True),
        lambda key: store.put(key, b"1"),
    ):
        with pytest.raises(
            UserError, match=rf"cannot .*: {tmp_path}/{link} is a link to nothing \(is the disk mounted"
        ):
            use(key)
    (tmp_path / link).parent.joinpath("unplugged").mkdir()
    assert store.head(key) is None
    assert store.put(key, b"1", create=True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can make folders in")
def test_a_root_that_cannot_be_made_is_the_users_to_mend():
    store = open_store("/proc/nst-test")
    assert store.list("") == []
    for create in (True, False):
        with pytest.raises(UserError, match=r"cannot write file:///proc/nst-test/k: .* \(is the disk mounted\?\)"):
            store.put("k", b"1", create=create)


def test_paths_and_file_uris_name_the_same_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    open_store(f"file://{tmp_path}/a b").put("k", b"1")
    assert open_store(tmp_path / "a b").get("k") == b"1"
    monkeypatch.chdir(tmp_path)
    assert open_store("a b").uri == f"file://{tmp_path}/a b"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/a b").get("k") == b"1"


def test_a_file_deleted_during_a_listing_is_left_out(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.put("a/1", b"")
    (tmp_path / "a" / "dangling").symlink_to(tmp_path / "gone")
    assert [stat.key for stat in store.list("")] == ["a/1"]


def test_links_that_lead_back_are_not_followed(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.put("a/1", b"")
    store.put("b/2", b"")
    for name, target in (("a/x", tmp_path), ("a/y", tmp_path), ("a/z", tmp_path / "b"), ("b/a", tmp_path / "a")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert {stat.key for stat in store.list("")} >= {"a/1", "b/2", "a/z/2", "b/a/1"}


def test_a_digest_is_that_of_the_bytes(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.put("k", b"abc")
    assert store.digest("k") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    with pytest.raises(FileNotFoundError):
        store.digest("gone")
