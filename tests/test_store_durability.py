"""What is on the disk when a put returns, as the system calls of a real process show it."""

# ruff: noqa: PTH115, PTH110, PTH120  paths as the system calls have them

from __future__ import annotations

import os
import sys

import pytest

from tasks.store import open_store


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to name a file descriptor")
@pytest.mark.parametrize("create", [False, True])
def test_the_bytes_then_the_name_are_on_the_disk_when_a_put_returns(tmp_path, monkeypatch, create):
    """Without the folder's fsync, a power cut takes the name away although the put has returned."""
    store = open_store(tmp_path / "root")
    store.put("a/b/other", b"so that the folder is there")
    file, folder = str(tmp_path / "root/a/b/new"), str(tmp_path / "root/a/b")
    synced = []
    fsync = os.fsync

    def watched(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        synced.append((path, os.path.exists(file)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    store.put("a/b/new", b"bytes", create=create)
    (bytes_at, name_was_there), (last, name_is_there) = synced
    assert os.path.dirname(bytes_at) == folder
    assert not name_was_there  # the bytes first: no name without them
    assert (last, name_is_there) == (folder, True)


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_a_new_folder_is_on_the_disk_in_its_parent(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    open_store(tmp_path / "root").put("a/b/new", b"bytes")
    assert {str(tmp_path), str(tmp_path / "root"), str(tmp_path / "root/a"), str(tmp_path / "root/a/b")} <= set(synced)
