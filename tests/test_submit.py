"""`nst submit`: one machine puts a sweep on record, and others do it that have neither its manifest nor its files."""

from __future__ import annotations

import hashlib
import shutil
import time

import pytest
import warm
import yaml
from orders import planned
from sweeps import TINY_MANIFEST, write_pictures
from trainings import write_manifest as write_training
from trainings import write_pictures as write_photographs

from nst.errors import InputError
from tasks.fsck.check import fsck
from tasks.planning.stored import open_plans
from tasks.planning.uploading import uploaded
from tasks.root import open_root
from tasks.store import open_store


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "submitter"
    folder.mkdir()
    write_pictures(folder)
    (folder / "m.yaml").write_text(yaml.safe_dump(TINY_MANIFEST))
    return folder


def nst(folder, *arguments):
    return warm.nst(*arguments, cwd=folder, OMP_NUM_THREADS="1")


def plans(root):
    return [(stat.key, stat.etag) for stat in open_store(str(root)).list("state/plans/")]


def test_a_sweep_is_submitted_to_a_bucket_and_done_where_its_files_are_not(folder, tmp_path, s3):
    root = f"{s3.bucket()}/lab"
    submitted = nst(folder, "submit", "m.yaml", "--root", root)
    assert submitted.returncode == 0, submitted
    assert "submitted, 4 cells to do" in submitted.stdout
    assert "3 inputs copied below the root" in submitted.stdout
    opened = open_root(root)
    assert opened.catalog.keys("results") == set()
    store = opened.store
    for name in ("cat", "dog", "waves"):
        data = (folder / f"{name}.png").read_bytes()
        assert store.get(f"inputs/{hashlib.sha256(data).hexdigest()}.png") == data
    first = plans(root)
    again = nst(folder, "submit", "m.yaml", "--root", root)
    assert "submitted before, 4 cells are still to be done" in again.stdout
    assert plans(root) == first
    cells = planned(folder / "m.yaml", root).ids
    shutil.rmtree(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = nst(elsewhere, "work", "--root", root, "--devices", "cpu")
    assert done.returncode == 0, done
    assert opened.catalog.keys("results") == set(cells)
    assert fsck(opened).ok
    assert plans(root) == []


def test_who_watches_sees_it_done_by_others(folder):
    watcher = warm.start("submit", "m.yaml", "--watch", cwd=folder)
    deadline = time.monotonic() + warm.DEADLINE_S
    while "submitted" not in watcher.said[0]:
        assert time.monotonic() < deadline, watcher.said
        time.sleep(0.05)
    assert nst(folder, "work", "--devices", "cpu").returncode == 0
    ended = watcher.ended()
    assert ended.returncode == 0, ended
    assert ended.stdout.splitlines()[-1] == "4 of 4 cells"
    assert "nobody taking part" in ended.stderr
    assert "all is done already" in nst(folder, "submit", "m.yaml").stdout
    assert plans(folder / "out") == []


def test_a_training_is_submitted_likewise(folder, s3):
    write_photographs(folder, 4)
    manifest = write_training(folder, steps=2)
    root = s3.bucket()
    assert "5 inputs copied" in nst(folder, "submit", manifest, "--root", root).stdout
    shutil.rmtree(folder / "photographs")
    done = nst(folder, "work", "--root", root, "--devices", "cpu")
    assert done.returncode == 0, done
    assert len(open_root(root).catalog.keys("models", "model_id")) == 1


def test_inputs_stay_where_they_are_beside_a_root_that_is_a_folder(folder):
    assert nst(folder, "submit", "m.yaml").returncode == 0
    assert open_store(str(folder / "out")).list("inputs/") == []
    (plan,) = open_plans(open_store(str(folder / "out")))
    assert plan.sweep
    assert plan.sweep.contents[0].uri == f"file://{folder}/cat.png"


def test_a_file_that_changes_while_it_is_submitted_is_told(folder, s3):
    prepared = planned(folder / "m.yaml", s3.bucket())
    (folder / "waves.png").write_bytes((folder / "cat.png").read_bytes())
    with pytest.raises(InputError, match=r"waves\.png has changed while it was submitted"):
        uploaded(prepared)
