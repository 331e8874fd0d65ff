"""`nst status`: what is open, who is at it, how long it takes yet, why something failed, and what to type next."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from orders import planned
from sweeps import TINY_MANIFEST, write_pictures
from trainings import write_manifest as write_training
from trainings import write_pictures as write_photographs
from typer.testing import CliRunner
from yaml import safe_dump

from flows.__main__ import app
from flows.order.request import Request, order_of
from flows.order.submission import submit_order, withdraw
from nst.errors import InputError
from tasks.catalog import Catalog
from tasks.heartbeat import FRESH_S, TRAININGS, beating
from tasks.models.choose import TRAINING_METHOD
from tasks.removal import plan_removal, remove
from tasks.root import Root, open_root

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def nst(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["status", *arguments], env={"COLUMNS": "200"})
    if result.exception:
        raise result.exception
    return result.stdout


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(nst(*arguments, "--json"))
    return found


def submit(manifest: Path | str, root: str) -> Any:
    order = order_of(Request(str(manifest), open_root(root)))
    submit_order(order)
    return order.prepared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pictures(tmp_path)
    write_photographs(tmp_path, 4)
    write_training(tmp_path, name="learn", styles="styles/")
    (tmp_path / "m.yaml").write_text(safe_dump(TINY_MANIFEST))
    return tmp_path


def test_an_open_training_is_listed_with_its_models(folder: Path, s3: Any) -> None:
    """Also where its manifest and its photographs are not."""
    root = s3.root("lab")
    training = submit(folder / "learn.yaml", root)
    sweep = submit(folder / "m.yaml", root)
    shutil.rmtree(folder)
    first, second = training.ids
    catalog = training.root.catalog
    catalog.commit("models", first, "trained", [{"model_id": first, "weights_digest": "0" * 64, "weights_bytes": 1}])
    painted = {"model_id": second, "cell_id": "of another sweep", "method": "feedforward", "attempt": 1}
    catalog.commit("failures", "other", "f", [painted])
    assert told("learn", "--root", root)["not_tried"] == 1
    failed = {"model_id": second, "cell_id": second, "method": TRAINING_METHOD, "attempt": 1}
    catalog.commit("failures", second, "f", [{**failed, "error_class": "NumericalError", "error_message": "flat"}])
    newest, oldest = told("--root", root)["submissions"]
    assert newest == {
        "kind": "sweep", "id": sweep.identity, "name": "tiny", "submitted_at": newest["submitted_at"], "state": "open",
        "total": 4, "done": 0, "failed": 0, "not_tried": 4, "taking_part": 0,
    }  # fmt: skip
    assert oldest == {
        "kind": "training", "id": training.identity, "name": "learn", "submitted_at": oldest["submitted_at"],
        "state": "open", "total": 2, "done": 1, "failed": 1, "not_tried": 0, "taking_part": 0,
    }  # fmt: skip
    (line,) = [line for line in nst("--root", root).splitlines() if "learn" in line]
    assert line.split()[4:] == ["2", "models", "1", "1", "0", "open"]
    with beating(training.root.store, TRAININGS):
        shown = told("learn", "--root", root)
    assert (shown["state"], shown["taking_part"], len(shown["participants"])) == ("running", 1, 1)
    assert shown["failures"] == [{"cause": "NumericalError: flat", "count": 1}]
    assert shown["manifest"] == f"{folder}/learn.yaml"
    assert shown["next"] == f"nst work --root {root} --sweep {training.identity[:8]}"


def test_who_takes_part_is_named_and_who_fell_silent_too(folder: Path) -> None:
    root = str(folder / "out")
    prepared = submit(folder / "m.yaml", root)
    store = prepared.root.store
    beat = {"at": time.time() - FRESH_S - 300, "count": 3, "process": {"machine": "gpu7 boot ns", "pid": 12}}
    store.put(f"state/running/{prepared.identity}/gone.json", json.dumps(beat).encode())
    store.put(f"state/running/{prepared.identity}/odd.json", b"[]")
    with beating(store, prepared.identity) as me:
        shown, text = told("tiny", "--root", root), nst("tiny", "--root", root)
    alive, silent = shown["participants"]
    assert alive.pop("seconds_since_beat") < FRESH_S
    assert alive == {"id": me, "host": socket.gethostname(), "pid": os.getpid(), "is_alive": True}
    assert silent.pop("seconds_since_beat") >= FRESH_S + 300
    assert silent == {"id": "gone", "host": "gpu7", "pid": 12, "is_alive": False}
    assert (shown["state"], shown["taking_part"]) == ("running", 1)
    assert f"{me} on {socket.gethostname()}, process {os.getpid()}, last seen " in text
    assert "gone on gpu7, process 12, last seen 6 min ago: silent" in text
    assert "nobody" in nst("tiny", "--root", str(submit(folder / "m.yaml", str(folder / "other")).root.uri))


def sweep_of(root: Root, cells: int, sweep_id: str = "aaaa1111", name: str = "first", **common: Any) -> list[str]:
    ids = [f"{name}{number:04d}" for number in range(cells)]
    shared = {"sweep_id": sweep_id, "sweep_name": name, "submitted_at": NOW, **common}
    rows = [{"cell_id": cell, "position": number} for number, cell in enumerate(ids)]
    root.catalog.commit("sweeps", sweep_id, "cells", rows, common=shared)
    return ids


def publish(root: Root, at: float, **cells: list[str]) -> None:
    """Publish cells of sweeps at a time of the publisher's clock, one commit record for each cell."""
    catalog = Catalog(root.store, clock=lambda: at)
    for sweep_id, ids in cells.items():
        for cell in ids:
            catalog.commit("results", sweep_id, cell, [{"cell_id": cell}])
    catalog.publish("results")


def test_the_time_left_follows_from_what_was_published_in_the_last_minutes(tmp_path: Path) -> None:
    """Ten cells of this sweep between 600 s ago and now, as many of another, and 30 cells to go."""
    root = open_root(str(tmp_path))
    mine, others = sweep_of(root, 60), sweep_of(root, 30, "bbbb2222", "second")
    now = time.time()
    publish(root, now - 90_000, aaaa1111=mine[:15])
    publish(root, now - 600, aaaa1111=mine[15:20])
    publish(root, now - 300, aaaa1111=mine[20:24], bbbb2222=others[:4])
    publish(root, now, aaaa1111=mine[24:30], bbbb2222=others[4:10])
    uri = root.uri
    assert told("first", "--root", uri)["done_per_hour"] is None, "nobody is at it"
    with beating(root.store, "aaaa1111"):
        shown, text = told("first", "--root", uri), nst("first", "--root", uri)
    assert shown["done_per_hour"] == pytest.approx(10 / 600 * 3600)
    assert shown["seconds_left"] == pytest.approx(30 / (10 / 600))
    assert "about 60 cells an hour in the last minutes, about 30 min left" in text
    with beating(root.store, "cccc3333"):
        sweep_of(root, 5, "cccc3333", "third")
        assert told("third", "--root", uri)["seconds_left"] is None, "nothing of it was done yet"


def test_the_time_left_is_not_told_where_it_is_not_known(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    mine = sweep_of(root, 60)
    now = time.time()
    publish(root, now - 90_000, aaaa1111=mine[:15])
    publish(root, now - 80_000, aaaa1111=mine[15:30])
    with beating(root.store, "aaaa1111"):
        shown, text = told("first", "--root", root.uri), nst("first", "--root", root.uri)
        assert (shown["done_per_hour"], shown["seconds_left"]) == (None, None)
        assert "about" not in text
        publish(root, now, aaaa1111=mine[30:40])
        assert told("first", "--root", root.uri)["seconds_left"] is None, "one publication has no pace"
        publish(root, now + 5, aaaa1111=mine[40:50])
        assert told("first", "--root", root.uri)["seconds_left"] is None, "nor have two at nearly the same time"


def test_failures_are_counted_by_their_last_cause(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    one, two, three, done, _ = sweep_of(root, 5, manifest_uri="lists/first one.yaml")
    other = sweep_of(root, 1, "bbbb2222", "second")[0]

    def fail(cell: str, attempt: int, text: str) -> None:
        row = {"cell_id": cell, "attempt": attempt, "error_class": "InputError", "error_message": text}
        root.catalog.commit("failures", "aaaa1111", f"{cell}-{attempt}", [row])

    for cell in (one, two, done):
        fail(cell, 1, "no disk")
    fail(two, 2, "no picture")
    for cell in (three, other):
        fail(cell, 1, "no picture")
    publish(root, time.time(), aaaa1111=[done])
    shown, text = told("aaaa", "--root", root.uri), nst("aaaa", "--root", root.uri)
    assert shown["failures"] == [
        {"cause": "InputError: no picture", "count": 2}, {"cause": "InputError: no disk", "count": 1},
    ]  # fmt: skip
    assert (shown["done"], shown["failed"], shown["not_tried"], shown["state"]) == (1, 3, 1, "incomplete")
    assert "  2 cells: InputError: no picture" in text
    assert "  1 cell: InputError: no disk" in text
    assert shown["next"] == f"nst run 'lists/first one.yaml' --root {root.typed}"


def fail(root: Root, cell: str, **more: Any) -> None:
    """Put a failed attempt at a cell on record; `method` and `model_id` for a model."""
    attempt = 1 + root.catalog.counts("failures").get(cell, 0)
    row = {"cell_id": cell, "attempt": attempt, "error_class": "InputError", "error_message": f"broken {attempt}"}
    root.catalog.commit("failures", cell, f"f{attempt}", [{**row, **more}])


@pytest.mark.parametrize("where", ["local", "s3"])
def test_what_was_withdrawn_is_called_so_also_while_participants_leave(
    folder: Path, where: str, request: pytest.FixtureRequest
) -> None:
    """Until it is submitted again, or is done by whoever: then the note is of no account, or gone."""
    uri = str(folder / "out") if where == "local" else f"{request.getfixturevalue('s3').bucket()}/lab"
    prepared = submit(folder / "m.yaml", uri)
    root, (first, *others) = prepared.root, prepared.ids
    assert [plan.identity for plan in withdraw(root, "tiny")] == [prepared.identity]
    now = time.time()
    publish(root, now - 600, **{prepared.identity: [first]})
    publish(root, now, **{prepared.identity: others[:1]})
    with beating(root.store, prepared.identity):
        shown, text = told("tiny", "--root", uri), nst("tiny", "--root", uri)
        assert (shown["state"], shown["taking_part"], shown["seconds_left"]) == ("withdrawn", 1, None)
        assert f"sweep tiny ({prepared.identity}), withdrawn" in text
        assert [each["state"] for each in told("--root", uri)["submissions"]] == ["withdrawn"]
        assert nst("--root", uri).splitlines()[-1].endswith(" withdrawn")
    assert shown["next"].startswith(f"nst submit {folder}/m.yaml --root ")
    submit(folder / "m.yaml", uri)
    assert root.store.list("state/withdrawn/") == []
    assert told("tiny", "--root", uri)["state"] == "open"
    withdraw(root, "tiny")
    publish(root, now, **{prepared.identity: others[1:]})
    assert told("tiny", "--root", uri)["state"] == "done"
    remove(root, plan_removal(root, prepared.identity, "tiny"))
    assert root.store.list("state/withdrawn/") == []


def test_what_is_to_be_tried_again_has_not_failed_yet(folder: Path) -> None:
    uri = str(folder / "out")
    prepared = submit(folder / "m.yaml", uri)
    root, (one, two, *_) = prepared.root, prepared.ids
    for cell in (one, two):
        fail(root, cell)
    assert [told("tiny", "--root", uri)[key] for key in ("failed", "not_tried")] == [2, 2]
    root.store.delete(f"state/plans/{prepared.identity}.json")
    assert [told("tiny", "--root", uri)[key] for key in ("failed", "not_tried")] == [2, 2], "nobody tries them"
    (folder / "one.csv").write_text(f"cell_id\n{one}\n")
    submit_order(order_of(Request(str(folder / "m.yaml"), open_root(uri), only=str(folder / "one.csv"))))
    shown = told("tiny", "--root", uri)
    assert [shown[key] for key in ("failed", "not_tried")] == [1, 3], "the other is not chosen"
    assert shown["failures"] == [{"cause": "InputError: broken 1", "count": 1}]
    submit(folder / "m.yaml", uri)
    shown, (listed,) = told("tiny", "--root", uri), told("--root", uri)["submissions"]
    assert [shown[key] for key in ("failed", "not_tried")] == [listed[key] for key in ("failed", "not_tried")] == [0, 4]
    assert shown["failures"] == []
    fail(root, one)
    shown = told("tiny", "--root", uri)
    assert (shown["failed"], shown["failures"]) == (1, [{"cause": "InputError: broken 2", "count": 1}])


def test_models_that_are_to_be_trained_again_have_not_failed_yet(folder: Path) -> None:
    uri = str(folder / "out")
    model = planned(folder / "learn.yaml", uri).ids[0]
    fail(open_root(uri), model, model_id=model, method=TRAINING_METHOD)
    root = submit(folder / "learn.yaml", uri).root
    shown = told("learn", "--root", uri)
    assert (shown["failed"], shown["not_tried"], shown["failures"]) == (0, 2, [])
    fail(root, model, model_id=model, method=TRAINING_METHOD)
    assert [told("learn", "--root", uri)[key] for key in ("failed", "not_tried")] == [1, 1]


def test_what_to_type_next_repeats_the_changes_of_the_manifest(folder: Path) -> None:
    root = str(folder / "out")
    order = order_of(Request(str(folder / "m.yaml"), open_root(root), overrides=("method.steps=3",)))
    submit_order(order)
    shown = told("tiny", "--root", root)
    assert (shown["manifest"], shown["changes"]) == (f"{folder}/m.yaml", "method.steps=3")
    order.prepared.root.store.delete(f"state/plans/{order.prepared.identity}.json")
    assert told("tiny", "--root", root)["next"] == f"nst run {folder}/m.yaml method.steps=3 --root {root}"
    assert f"{folder}/m.yaml with method.steps=3" in nst("tiny", "--root", root)


def test_the_page_is_named_where_there_is_one(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    cells = sweep_of(root, 1)
    publish(root, time.time(), aaaa1111=cells)
    assert told("first", "--root", root.uri)["page"] is None
    root.store.put("gallery/first-aaaa1111/index.html", b"page")
    shown = told("first", "--root", root.uri)
    assert shown["page"] == f"{root.uri}/gallery/first-aaaa1111/index.html"
    assert (shown["state"], shown["next"]) == ("done", f"nst gallery aaaa1111 --open --root {root.typed}")
    assert shown["page"] in nst("first", "--root", root.uri)


@pytest.mark.parametrize("where", ["local", "s3"])
def test_plans_that_cannot_be_read_are_named_beside_what_is_open(
    folder: Path, where: str, request: pytest.FixtureRequest
) -> None:
    uri = str(folder / "out") if where == "local" else request.getfixturevalue("s3").root()
    root = submit(folder / "m.yaml", uri).root
    training = planned(folder / "learn.yaml", uri)
    submit(folder / "learn.yaml", uri)
    whole = root.store.get(f"state/plans/{training.identity}.json")
    odd = {**json.loads(whole), "nst_version": "99.0"}
    odd["training"] = {**odd["training"], "text": odd["training"]["text"].replace("johnson", "unheard_of")}
    root.store.put(f"state/plans/{training.identity}.json", json.dumps(odd).encode())
    root.store.put("state/plans/aaaa1111.json", whole[:-1])
    text = nst("--root", uri)
    assert " open" in next(line for line in text.splitlines() if line.startswith("tiny"))
    assert "plan aaaa1111 is damaged: " in text
    assert f"plan {training.identity} is of nst 99.0, whose manifests this one does not understand" in text
    found = {plan["id"]: (plan["key"], plan["is_damaged"]) for plan in told("--root", uri)["unreadable_plans"]}
    assert found == {
        "aaaa1111": ("state/plans/aaaa1111.json", True),
        training.identity: (f"state/plans/{training.identity}.json", False),
    }


def test_of_several_of_one_name_the_newest_is_shown_and_the_others_are_named(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    sweep_of(root, 1)
    sweep_of(root, 2, "bbbb2222", "first", submitted_at=NOW.replace(day=22))
    result = CliRunner().invoke(app, ["status", "first", "--root", root.uri])
    assert "showing bbbb2222, the newest called first; others: aaaa1111" in result.stderr
    assert "sweep first (bbbb2222), incomplete" in result.stdout
    with pytest.raises(InputError, match=r"no sweep and no open training 'nosuch' below .*there are: first"):
        nst("nosuch", "--root", root.uri)


def test_an_empty_root_is_told(tmp_path: Path) -> None:
    assert f"no sweep has been submitted to file://{tmp_path}" in nst("--root", str(tmp_path))
    assert told("--root", str(tmp_path)) == {"root": f"file://{tmp_path}", "submissions": [], "unreadable_plans": []}
