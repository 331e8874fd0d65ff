"""`nst submit`: one machine puts a sweep on record, and others do it that have neither its manifest nor its files."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time

import pytest
import warm
import yaml
from orders import planned
from sweeps import TINY_MANIFEST, write_pictures
from trainings import write_manifest as write_training
from trainings import write_pictures as write_photographs

from flows.order.request import Request, order_of
from flows.order.submission import submit_order, watch_order
from nst.errors import InputError
from tasks.fsck.check import fsck
from tasks.fsck.orphans import remove_orphans
from tasks.planning.plan_files import close, open_plans
from tasks.planning.uploading import uploaded
from tasks.removal import plan_removal, remove
from tasks.root import open_root
from tasks.status import sweep_statuses
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
    root = s3.root("lab")
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
    assert remove_orphans(opened, grace=-2) == (0, 0), "the plan names them"
    again = nst(folder, "submit", "m.yaml", "--root", root)
    assert "submitted before, 4 cells still to be done" in again.stdout
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
    assert remove_orphans(opened, grace=-2)[0] == 0, "the rows name them"
    assert len(store.list("inputs/")) == 3
    (status,) = sweep_statuses(opened)
    remove(opened, plan_removal(opened, status.sweep_id, "tiny"))
    assert "3 copies of inputs" in "".join(fsck(opened).notes)
    assert remove_orphans(opened, grace=-2)[0] >= 3
    assert store.list("inputs/") == []


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
    root = s3.root()
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


def test_what_is_open_is_read_from_where_its_inputs_are_now(folder, tmp_path):
    """A folder that was moved and submitted again; what had failed before is still that."""
    root = tmp_path / "root"
    assert nst(folder, "submit", "m.yaml", "--root", root).returncode == 0
    opened = open_root(str(root))
    (before,) = open_plans(opened.store)
    cell = planned(folder / "m.yaml", root).ids[0]
    opened.catalog.commit("failures", before.identity, "one", [{"cell_id": cell, "attempt": 1}])
    moved = folder.rename(tmp_path / "moved")
    (moved / "cat.png").rename(moved / "kitten.png")
    (moved / "m.yaml").write_text((moved / "m.yaml").read_text().replace("cat.png", "kitten.png"))
    stuck = nst(tmp_path, "work", "--root", root, "--devices", "cpu")
    assert "cat.png does not exist" in stuck.stderr
    again = nst(moved, "submit", "m.yaml", "--root", root)
    said = "submitted before; its inputs are now read from where they are now, 4 cells still to be done"
    assert said in again.stdout
    (after,) = open_plans(opened.store)
    assert (after.failed, after.submitted_at) == ({}, before.submitted_at)
    assert set(after.resolved.uris()) == {f"file://{moved}/{name}.png" for name in ("kitten", "dog", "waves")}
    names = {row["content_name"] for row in open_root(str(root)).catalog.read("sweeps").to_pylist()}
    assert names == {"cat", "dog", "kitten"}
    assert "submitted before, 4 cells still" in nst(moved, "submit", "m.yaml", "--root", root).stdout
    nst(moved, "work", "--root", root, "--devices", "cpu")
    assert len(open_root(str(root)).catalog.keys("results")) == 3, "what has failed since it was submitted stays failed"


def test_what_is_copied_below_a_bucket_stays_there_whatever_becomes_of_the_files(folder, tmp_path, s3):
    root = s3.root()
    assert nst(folder, "submit", "m.yaml", "--root", root).returncode == 0
    first = plans(root)
    moved = folder.rename(tmp_path / "moved")
    assert "submitted before, 4 cells still to be done" in nst(moved, "submit", "m.yaml", "--root", root).stdout
    assert plans(root) == first


@pytest.mark.parametrize("command", [("submit",), ("run", "--inline", "--devices", "cpu")])
def test_each_picture_that_cannot_be_used_is_named_before_anything_is_handed_over(folder, command):
    (folder / "photos").mkdir()
    (folder / "cat.png").rename(folder / "photos/cat.png")
    for name in ("empty", "gone"):
        (folder / f"photos/{name}.png").write_bytes(b"")
    (folder / "m.yaml").write_text(yaml.safe_dump({**TINY_MANIFEST, "contents": "photos"}))
    told = nst(folder, command[0], "m.yaml", *command[1:])
    _, title, *faults = told.stderr.splitlines()[:4]
    assert title == "note: 2 of 3 contents cannot be used:"
    for name, fault in zip(("empty", "gone"), faults, strict=True):
        assert fault.endswith(f"photos/{name}.png: the file is empty")


@pytest.mark.parametrize("where", ["local", pytest.param("s3", marks=pytest.mark.proof)])
def test_an_older_sweep_of_the_same_name_that_is_open_is_told_and_left_as_it_is(folder, where, request):
    root = str(folder / "our out") if where == "local" else request.getfixturevalue("s3").bucket()
    assert nst(folder, "submit", "m.yaml", "--root", root).stderr.count("note: ") == 0
    before = planned(folder / "m.yaml", root)
    before.root.catalog.commit("results", before.identity, "one", [{"cell_id": before.ids[0]}])
    (folder / "m.yaml").write_text(yaml.safe_dump(TINY_MANIFEST | {"contents": "dog.png", "sweep": {"seed": [7]}}))
    (folder / "other.yaml").write_text(yaml.safe_dump(TINY_MANIFEST | {"name": "other", "sweep": {"seed": [8]}}))
    assert nst(folder, "submit", "other.yaml", "--root", root).stderr.count("note: ") == 0
    told = nst(folder, "submit", "m.yaml", "--root", "our out" if where == "local" else root)
    older = before.identity[:8]
    cancel = f"nst cancel {older} --root {shlex.quote(root)}"
    note = f"note: an older sweep tiny ({older}) is still open, 3 of 4 cells not tried yet; `{cancel}` withdraws it"
    assert note in told.stderr.splitlines()
    assert len(plans(root)) == 3
    ran = nst(folder, "run", "m.yaml", "--inline", "--devices", "cpu", "--root", root)
    assert (ran.returncode, note in ran.stderr.splitlines()) == (0, True)
    withdrawn = nst(folder.parent, *shlex.split(cancel)[1:])
    assert withdrawn.returncode == 0, withdrawn
    assert f"tiny ({older}): withdrawn" in withdrawn.stdout


def test_what_to_type_next_can_be_typed_in_any_folder(folder, tmp_path):
    """Of a manifest and a root that were named by relative paths."""
    assert nst(folder, "submit", "m.yaml", "--root", "our out").returncode == 0
    assert nst(folder, "cancel", "tiny", "--root", "our out").returncode == 0
    for word in ("submit", "work", "gallery"):
        shown = nst(folder, "status", "tiny", "--root", "our out", "--json")
        command = shlex.split(json.loads(shown.stdout)["next"])
        assert command[:2] == ["nst", word]
        assert nst(tmp_path, *[each for each in command[1:] if each != "--open"]).returncode == 0
    assert not (tmp_path / "our out").exists()


def test_what_is_done_already_is_told(folder):
    one = {**TINY_MANIFEST, "contents": "cat.png", "sweep": {"style_weight": [3]}}
    (folder / "one.yaml").write_text(yaml.safe_dump(one))
    assert "submitted, 1 cell to do" in nst(folder, "submit", "one.yaml").stdout
    assert nst(folder, "work", "--devices", "cpu").returncode == 0
    assert "submitted, 4 cells: 1 done already, 3 to do" in nst(folder, "submit", "m.yaml").stdout


def test_the_hint_names_a_root_that_is_found_from_anywhere_it_can_be(folder, tmp_path, s3):
    local = nst(folder, "submit", "m.yaml", "--root", "our out").stdout.splitlines()[-1]
    assert local.startswith(f"nst work --root '{folder}/our out' does it, on this machine")
    bucket = s3.root()
    anywhere = nst(folder, "submit", "m.yaml", "--root", bucket).stdout.splitlines()[-1]
    assert anywhere == f"nst work --root {bucket} does it, on any machine"


def test_who_watches_does_not_fetch_the_plan(folder, monkeypatch):
    order = order_of(Request(str(folder / "m.yaml"), open_root(str(folder / "out"))))
    submit_order(order)
    store, fetched = order.prepared.root.store, []
    get = store.get
    monkeypatch.setattr(store, "get", lambda key, **limits: (fetched.append(key), get(key, **limits))[1])
    monkeypatch.setattr("flows.order.submission.time.sleep", lambda _: close(store, order.prepared.identity))
    assert [seen[:2] for seen in watch_order(order)] == [(0, 4), (0, 4)]
    assert [key for key in fetched if key.startswith("state/plans/")] == []


def test_an_open_sweep_that_is_removed_is_open_no_more(folder, s3):
    root = s3.root()
    assert nst(folder, "submit", "m.yaml", "--root", root).returncode == 0
    before = plans(root)
    shown = nst(folder, "rm", "tiny", "--root", root).stdout
    assert "would remove the rows of 4 cells" in shown
    assert "its plan, so that nobody takes part in it any more" in shown
    assert plans(root) == before
    assert nst(folder, "rm", "tiny", "--yes", "--root", root).returncode == 0
    assert plans(root) == []


def test_a_copy_that_is_removed_while_it_is_submitted_is_there_in_the_end(folder, s3, monkeypatch):
    """Nobody named it when `nst repair` looked."""
    order = order_of(Request(str(folder / "m.yaml"), open_root(s3.bucket(), probed=True)))
    store, copy = (
        order.prepared.root.store,
        f"inputs/{hashlib.sha256((folder / 'cat.png').read_bytes()).hexdigest()}.png",
    )
    put = store.put

    def putting(key, data, **how):
        if key.startswith("state/plans/"):
            assert store.head(copy) is not None
            store.delete(copy)
        return put(key, data, **how)

    monkeypatch.setattr(store, "put", putting)
    submit_order(order)
    assert store.get(copy) == (folder / "cat.png").read_bytes()


def test_a_file_that_changes_while_it_is_submitted_is_told(folder, s3):
    prepared = planned(folder / "m.yaml", s3.root())
    (folder / "waves.png").write_bytes((folder / "cat.png").read_bytes())
    with pytest.raises(InputError, match=r"waves\.png has changed while it was submitted"):
        uploaded(prepared)
