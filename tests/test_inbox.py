"""Manifests that people lay into a root are submitted and answered, whatever they are."""

from __future__ import annotations

import contextlib
import json
import os
import time

import pytest
import yaml
from sweeps import TINY_MANIFEST, write_pictures

from flows.order.inbox import SETTLE_S, Inbox
from nst.errors import StorageError, UserError
from tasks.planning.plan_files import open_plans
from tasks.root import open_root
from tasks.store import open_store

TINY = yaml.safe_dump(TINY_MANIFEST, sort_keys=False)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path / "out"))


@pytest.fixture
def inbox(root, tmp_path):
    folder = tmp_path / "out" / "inbox"
    folder.mkdir(parents=True)
    write_pictures(folder)
    return folder


def lay(folder, name, text=TINY, age=SETTLE_S + 5):
    """Lay a file into the inbox that was written some seconds ago."""
    path = folder / name
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))


def look(root, hand_over=lambda _order: "handed over"):
    return {answer.name: answer for answer in Inbox(root, "", hand_over).look()}


def report(folder, name):
    return (folder / f"{name}.report.txt").read_text()


def test_a_manifest_is_submitted_with_the_pictures_beside_it_and_answered(root, inbox):
    lay(inbox, "tiny.yaml")
    (answer,) = look(root).values()
    assert answer.accepted, answer
    (plan,) = open_plans(root.store)
    first, *lines = report(inbox, "tiny.yaml").splitlines()
    assert first.startswith("accepted ")
    assert lines[0].startswith(f"tiny ({plan.identity[:8]}): submitted, ")
    assert lines[1] == "handed over"
    assert f"tiny-{plan.identity[:8]}" in lines[2]
    assert look(root) == {}, "it is answered"
    (inbox / "tiny.yaml.report.txt").unlink()
    assert "submitted before" in look(root)["tiny.yaml"].text
    assert len(open_plans(root.store)) == 1


def test_faults_are_told_with_their_places_and_what_is_mended_is_taken_up(root, inbox):
    lay(inbox, "tiny.yml", TINY.replace("steps", "stepz"))
    assert not look(root)["tiny.yml"].accepted
    told = report(inbox, "tiny.yml")
    line = 1 + next(n for n, text in enumerate(TINY.splitlines()) if "steps" in text)
    assert told.startswith("refused ")
    assert f"inbox/tiny.yml:{line}:" in told
    assert "stepz" in told
    assert open_plans(root.store) == []
    lay(inbox, "tiny.yml")
    assert look(root)["tiny.yml"].accepted
    assert report(inbox, "tiny.yml").startswith("accepted ")


def test_what_is_being_written_is_left_until_it_stays_as_it_is(root, inbox):
    lay(inbox, "tiny.yaml", TINY[: len(TINY) // 2], age=0)
    assert look(root) == {}
    assert not (inbox / "tiny.yaml.report.txt").exists()
    lay(inbox, "tiny.yaml")
    assert look(root)["tiny.yaml"].accepted


def test_no_file_keeps_others_waiting(root, inbox):
    """Nothing, bytes, too much, a bug of ours, a site that does not answer: each has its end, and the last is done."""
    lay(inbox, "a-empty.yaml", "")
    (inbox / "b-bytes.yaml").write_bytes(b"\xff\xfe\x00name")
    os.utime(inbox / "b-bytes.yaml", (0, 0))
    lay(inbox, "c-large.yaml", "#" * 5_000_000)
    lay(inbox, "d-bug.yaml", TINY.replace("tiny", "bug"))
    lay(inbox, "e-away.yaml", TINY.replace("tiny", "away"))
    lay(inbox, "f-secret.yaml", TINY.replace("cat.png", "/etc/passwd"))
    lay(inbox, "notes.txt", TINY)
    lay(inbox, "z.yaml")
    (inbox / "folder.yaml").mkdir()

    def hand_over(order):
        if order.prepared.name == "bug":
            raise AssertionError("of ours")
        if order.prepared.name == "away":
            raise StorageError("HTTP 503")
        return ""

    with pytest.raises(StorageError):
        list(Inbox(root, "", hand_over).look())
    answers = {path.name.removesuffix(".report.txt"): path.read_text() for path in inbox.glob("*.report.txt")}
    assert answers.keys() == {"a-empty.yaml", "b-bytes.yaml", "c-large.yaml", "d-bug.yaml", "f-secret.yaml", "z.yaml"}
    assert {name for name, text in answers.items() if text.startswith("accepted")} == {"z.yaml"}
    assert "is not UTF-8 text" in answers["b-bytes.yaml"]
    assert "AssertionError: of ours" in answers["d-bug.yaml"]
    again = {answer.name: answer for answer in Inbox(root, "", lambda _order: "").look()}
    assert again.keys() == {"e-away.yaml"}
    assert again["e-away.yaml"].accepted


def test_a_manifest_in_a_bucket_names_no_file_of_this_machine(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("flows.order.inbox.SETTLE_S", 1.0)  # times of a bucket are whole seconds, and cannot be set
    write_pictures(tmp_path)
    uri = s3.root("lab")
    store = open_store(uri)
    store.put("inbox/hostile.yaml", TINY.replace("cat.png", f"{tmp_path}/cat.png").encode())
    for picture in tmp_path.glob("*.png"):
        store.put(f"inbox/{picture.name}", picture.read_bytes())
    store.put("inbox/good.yaml", TINY.encode())
    store.put("inbox/web.yaml", f"extends: http://127.0.0.1:9/role\n{TINY}".encode())
    root = open_root(uri, probed=True)
    deadline = time.monotonic() + 120
    answers = {}
    while len(answers) < 3:
        assert time.monotonic() < deadline
        answers |= look(root)
        time.sleep(0.1)
    assert answers["good.yaml"].accepted, answers
    assert not answers["hostile.yaml"].accepted
    assert "local file" in answers["hostile.yaml"].text
    assert "does not lie in s3://" in answers["web.yaml"].text
    assert store.get("inbox/good.yaml.report.txt").startswith(b"accepted ")
    assert json.loads(store.get(open_plans(store)[0].key))["name"] == "tiny"


@pytest.mark.parametrize("how", ["extends", "link", "model"])
def test_no_manifest_quotes_a_file_that_lies_elsewhere(how, root, inbox, tmp_path):
    """A report can be read by whoever reads the inbox, and it quotes the lines at fault."""
    secret = tmp_path / "secret.yaml"
    secret.write_text("password of the operator: hunter2: x\n")
    if how == "link":
        lay(inbox, "other.yaml")
        (inbox / "m.yaml").symlink_to(secret)
        os.utime(inbox / "m.yaml", (time.time() - SETTLE_S - 5,) * 2)
    elif how == "extends":
        lay(inbox, "m.yaml", f"extends: {secret}\n{TINY}")
    else:
        method = {"name": "feedforward", "family": "johnson", "model": str(secret)}
        manifest = {"name": "m", "contents": "cat.png", "styles": "waves.png", "method": method}
        lay(inbox, "m.yaml", yaml.safe_dump(manifest))
    answer = look(root)["m.yaml"]
    assert not answer.accepted
    assert "does not lie in the folder of the manifest" in answer.text
    assert "hunter2" not in answer.text + report(inbox, "m.yaml")


def test_a_manifest_of_the_inbox_extends_one_beside_it(root, inbox):
    (inbox / "bases").mkdir()
    lay(inbox / "bases", "base.yaml")
    lay(inbox, "m.yaml", "extends: bases/base.yaml\nname: narrower\n")
    assert look(root)["m.yaml"].accepted


@pytest.mark.parametrize("name", ["\udcfc.yaml", f"{'x' * 248}.yaml", "a.yaml"])
def test_a_manifest_that_cannot_be_answered_keeps_no_other_one_waiting(name, root, inbox):
    """Its name is not UTF-8; that of its report is longer than a disk allows; its report is a folder."""
    (inbox / "a.yaml.report.txt").mkdir()
    lay(inbox, name)
    lay(inbox, "z.yaml", TINY.replace("name: tiny", "name: other"))
    looked_at = Inbox(root, "", lambda _order: "handed over")
    with contextlib.suppress(StorageError, UserError):
        list(looked_at.look())
    assert report(inbox, "z.yaml").startswith("accepted ")
    assert list(looked_at.look()) == []
