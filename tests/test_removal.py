"""`nst rm` and `nst repair`: what they take away, what they leave, and crashes in between."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import UserError
from tasks.catalog import Catalog
from tasks.fsck.check import fsck
from tasks.fsck.repair import plan_repair, repair
from tasks.heartbeat import FRESH_S, beating, running_sweeps
from tasks.layout import picture_key, removal_key, thumbnail_key
from tasks.removal import finish_removals, plan_removal, remove
from tasks.root import Root, open_root
from tasks.status import sweep_statuses

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.store import Store

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SWEEPS = {"aaaa1111": ("x", "y", "z"), "bbbb2222": ("y", "w")}
PICTURES = {"x": b"same", "y": b"y", "z": b"z", "w": b"same"}  # two cells, one picture
FAILED = "z"


def submit(catalog: Catalog, sweep: str) -> None:
    """Register a sweep and do what is to do of it; one cell fails."""
    common = {"sweep_id": sweep, "sweep_name": f"n{sweep[0]}", "submitted_at": NOW}
    rows = [{"cell_id": cell, "position": n} for n, cell in enumerate(SWEEPS[sweep])]
    catalog.commit("sweeps", sweep, "cells", rows, common=common)
    catalog.store.put(f"manifests/n{sweep[0]}-{sweep}.yaml", b"name")
    catalog.store.put(f"gallery/n{sweep[0]}-{sweep}/index.html", b"page")
    for cell in SWEEPS[sweep]:
        if cell in catalog.keys("results"):
            continue
        if cell == FAILED:
            attempt = 1 + catalog.counts("failures").get(cell, 0)
            row = {"cell_id": cell, "attempt": attempt, "sweep_id": sweep}
            catalog.commit("failures", sweep, f"{cell}-{attempt}", [row])
            continue
        data = PICTURES[cell]
        digest = hashlib.sha256(data).hexdigest()
        catalog.store.put(picture_key(digest, "png"), data)
        catalog.store.put(thumbnail_key(digest), b"thumbnail")
        row = {"cell_id": cell, "picture_digest": digest, "picture_format": "png", "picture_bytes": len(data)}
        catalog.commit("traces", sweep, cell, [{"cell_id": cell, "step": 1, "level": 0}])
        catalog.commit("results", sweep, cell, [row | {"sweep_id": sweep}])
    for table in ("sweeps", "results", "traces", "failures"):
        catalog.publish(table)


def content(root: Root) -> dict[str, Any]:
    """Everything that a user of the root sees."""
    catalog = Root(root.uri).catalog
    tables = {
        table: sorted(map(tuple, catalog.read(table, columns).to_pandas().to_numpy().tolist()))
        for table, columns in {
            "sweeps": ["sweep_id", "cell_id"],
            "results": ["cell_id", "picture_digest"],
            "traces": ["cell_id"],
            "failures": ["cell_id"],
        }.items()
    }
    kept = ("pictures/", "thumbs/", "gallery/", "manifests/", "state/removals/")
    return tables | {"objects": [s.key for s in root.store.list("") if s.key.startswith(kept)]}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    opened = open_root(str(tmp_path / "root"))
    for sweep in SWEEPS:
        submit(opened.catalog, sweep)
    return opened


def only(tmp_path: Path, sweep: str) -> Root:
    """A root in which no other sweep was ever submitted."""
    other = open_root(str(tmp_path / f"only-{sweep}"))
    submit(other.catalog, sweep)
    return other


def test_a_removed_sweep_takes_its_own_cells_and_nothing_else(root: Root, tmp_path: Path) -> None:
    planned = plan_removal(root, "aaaa1111", "na")
    assert planned.cells == ("x", "z")  # y belongs to the other sweep too
    assert planned.pictures == ()  # the picture of x is that of w
    before = content(root)
    assert content(root) == before  # planning changes nothing
    remove(root, planned)
    assert content(root) == content(only(tmp_path, "bbbb2222"))
    assert [status.sweep_id for status in sweep_statuses(open_root(root.uri))] == ["bbbb2222"]
    assert set(pd.read_parquet(f"{root.uri}/catalog/sweeps").sweep_id) == {"bbbb2222"}
    assert fsck(open_root(root.uri)).ok


def test_a_picture_that_another_row_names_by_then_stays(tmp_path: Path) -> None:
    root = only(tmp_path, "aaaa1111")
    planned = plan_removal(root, "aaaa1111", "na")
    assert len(planned.pictures) == 2  # those of x and y
    submit(root.catalog, "bbbb2222")  # it has y, and w whose picture is that of x
    remove(root, planned)
    assert content(root) == content(only(tmp_path, "bbbb2222"))
    assert fsck(open_root(root.uri)).ok


def test_removing_all_sweeps_leaves_no_picture_and_submitting_brings_them_back(root: Root) -> None:
    before = content(root)
    for sweep in SWEEPS:
        remove(root, plan_removal(root, sweep, f"n{sweep[0]}"))
    assert content(root) == {"sweeps": [], "results": [], "traces": [], "failures": [], "objects": []}
    again = open_root(root.uri)
    for sweep in SWEEPS:
        submit(again.catalog, sweep)
    assert content(root) == before
    assert Catalog(root.store).counts("failures") == {FAILED: 1}
    assert fsck(open_root(root.uri)).ok


class Crash(BaseException):
    pass


class Dying:
    """A store whose process dies at its n-th change, before or after the change's effect."""

    def __init__(self, store: Store, left: float, *, after: bool) -> None:
        self.store, self.left, self.after = store, left, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def put(self, *arguments: Any, **options: Any) -> Any:
        return self._change(self.store.put, *arguments, **options)

    def delete(self, *arguments: Any) -> Any:
        return self._change(self.store.delete, *arguments)

    def _change(self, do: Any, *arguments: Any, **options: Any) -> Any:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Crash
        done = do(*arguments, **options)
        if self.left < 0:
            raise Crash
        return done


def dying(uri: str, left: float, *, after: bool) -> Root:
    root = Root(uri)
    vars(root)["store"] = store = Dying(root.store, left, after=after)
    vars(root)["catalog"] = Catalog(store, threads=0)
    return root


@pytest.mark.parametrize(
    ("after", "resubmitted"),
    [
        (False, True),
        *(pytest.param(*each, marks=pytest.mark.proof) for each in ((True, False), (True, True), (False, False))),
    ],
)
def test_a_removal_that_dies_at_any_step_is_ended_by_the_next(
    root: Root, tmp_path: Path, after: bool, resubmitted: bool
) -> None:
    expected = content(only(tmp_path, "bbbb2222"))
    whole, original = content(root), str(tmp_path / "root")
    steps = 0
    while True:
        root = open_root(shutil.copytree(original, str(tmp_path / f"root-{steps}")))
        victim = dying(root.uri, steps, after=after)
        try:
            remove(victim, plan_removal(victim, "aaaa1111", "na"))
        except Crash:
            steps += 1
        else:
            assert steps > 10
            return
        assert fsck(open_root(root.uri)).ok
        next_root = open_root(root.uri)
        if resubmitted and not any(s.sweep_id == "aaaa1111" for s in sweep_statuses(next_root)):
            submit(next_root.catalog, "aaaa1111")
            finish_removals(next_root)
            now = content(root)
            assert set(now.pop("failures")) == {(FAILED,)}  # a second attempt, where the first was still on record
            assert now == {key: value for key, value in whole.items() if key != "failures"}
            continue
        if not finish_removals(next_root):  # it died before anything had begun, or after everything had ended
            assert content(root) in (whole, expected)
            continue
        assert content(root) == expected
        assert fsck(open_root(root.uri)).ok


def test_nothing_is_taken_away_while_a_sweep_runs(root: Root) -> None:
    before = content(root)
    planned = plan_removal(root, "aaaa1111", "na")
    with beating(root.store, "bbbb2222"):
        while not running_sweeps(root.store):
            pass
        with pytest.raises(UserError, match="bbbb2222 is running"):
            remove(root, planned)
        with pytest.raises(UserError, match="bbbb2222 is running"):
            repair(root, plan_repair(root))
    assert content(root) == before


def test_what_runs_of_the_sweep_left_is_removed_and_that_of_others_stays(root: Root) -> None:
    mine = (
        "claims/aaaa1111/0/1",
        "claims/aaaa1111/0/2",
        "claims/aaaa1111-0123456789abcdef/7/1",
        "running/aaaa1111/killed",
    )
    others = {"claims/bbbb2222/0/1", "running/bbbb2222/killed"}
    for name in (*mine, *others):
        root.store.put(f"state/{name}.json", b'{"at": 0}')
    remove(root, plan_removal(root, "aaaa1111", "na"))
    left = {stat.key for place in ("claims", "running") for stat in root.store.list(f"state/{place}/")}
    assert left == {f"state/{name}.json" for name in others}


@pytest.mark.parametrize("at", ["9" * 400, "1e999", "4e9", "-4e9", "NaN", '"now"', "true", "null", "[]"])
def test_a_heartbeat_that_no_run_wrote_stops_no_removal(root: Root, at: str) -> None:
    root.store.put("state/running/x.json", f'{{"at": {at}}}'.encode())
    assert running_sweeps(root.store) == set()
    remove(root, plan_removal(root, "aaaa1111", "na"))


def test_a_heartbeat_of_a_clock_that_is_a_little_ahead_counts(root: Root) -> None:
    root.store.put("state/running/x.json", json.dumps({"at": time.time() + FRESH_S / 2}).encode())
    assert running_sweeps(root.store) == {"x"}


@pytest.mark.parametrize(
    "change",
    [
        {"pictures": [["../../x", "png"]]},
        {"pictures": [["0" * 64, "../png"]]},
        {"pictures": [[1, 2]]},
        {"pictures": 7},
        {"cells": [["x"]]},
        {"cells": "xyz"},
        {"sweep_id": "../x"},
        {"name": "../../x"},
        {"name": 1},
        {"edition": "0"},
        {"total": None},
    ],
)
def test_a_note_of_wrong_types_is_named_and_nothing_is_removed(root: Root, change: dict[str, Any]) -> None:
    before = content(root)
    key = removal_key("aaaa1111")
    root.store.put(key, json.dumps(asdict(plan_removal(root, "aaaa1111", "na")) | change).encode())
    with pytest.raises(UserError, match=rf"{key} is damaged: {next(iter(change))}.*delete it") as caught:
        finish_removals(root)
    assert len(str(caught.value).splitlines()) == 1
    root.store.delete(key)
    assert content(root) == before


def test_the_command_shows_first_and_removes_with_yes(root: Root) -> None:
    nst = CliRunner()
    before = content(root)
    dry = nst.invoke(app, ["rm", "nb", "--root", root.uri])
    assert dry.exit_code == 0, dry.output
    assert "2 cells, 1 of them in other sweeps too" in dry.output
    assert "would remove the rows of 1 cell, 0 pictures (0 bytes)" in dry.output
    assert "pass --yes" in dry.output
    assert content(root) == before
    assert nst.invoke(app, ["rm", "nb", "--yes", "--root", root.uri]).exit_code == 0
    assert {sweep for sweep, _ in content(root)["sweeps"]} == {"aaaa1111"}
    assert nst.invoke(app, ["rm", "nb", "--yes", "--root", root.uri]).exit_code != 0  # there is none any more


def test_a_name_of_several_sweeps_is_refused_and_one_id_of_them_is_not(root: Root) -> None:
    nst = CliRunner()
    common = {"sweep_id": "cccc3333", "sweep_name": "nb", "submitted_at": NOW}
    root.catalog.commit("sweeps", "cccc3333", "cells", [{"cell_id": "w", "position": 0}], common=common)
    before = content(root)
    refused = nst.invoke(app, ["rm", "nb", "--yes", "--root", root.uri])
    assert str(refused.exception).startswith("2 sweeps answer to 'nb' (name one by its id, ")
    assert "bbbb2222" in str(refused.exception)
    assert "cccc3333" in str(refused.exception)
    assert content(root) == before
    assert nst.invoke(app, ["rm", "cccc", "--yes", "--root", root.uri]).exit_code == 0


def test_repair_drops_the_rows_of_lost_and_changed_pictures_and_no_others(root: Root) -> None:
    nst = CliRunner()
    whole = content(root)
    digests = {cell: hashlib.sha256(data).hexdigest() for cell, data in PICTURES.items()}
    root.store.delete(picture_key(digests["y"], "png"))
    root.store.put(picture_key(digests["x"], "png"), b"diff")  # the picture of w too; as many bytes
    dry = nst.invoke(app, ["repair", "--root", root.uri])
    assert "3 cells whose picture is gone or differs" in dry.output
    assert content(root)["results"] == whole["results"]
    done = nst.invoke(app, ["repair", "--yes", "--root", root.uri])
    assert "dropped 3 rows" in done.output
    assert content(root)["results"] == []
    assert fsck(open_root(root.uri)).ok
    again = open_root(root.uri)
    for sweep in SWEEPS:
        submit(again.catalog, sweep)
    assert content(root)["results"] == whole["results"]
    assert fsck(open_root(root.uri)).ok
    assert "nothing to repair" in nst.invoke(app, ["repair", "--root", root.uri]).output


def test_repair_lets_a_model_train_again_whose_weights_are_gone(root: Root) -> None:
    catalog = root.catalog
    catalog.commit("models", "m", "trained", [{"model_id": "m", "weights_digest": "0" * 64, "weights_bytes": 1}])
    planned = plan_repair(root)
    assert [fault.id for fault in planned.models] == ["m"]
    assert repair(root, planned) == 1
    assert open_root(root.uri).catalog.keys("models", "model_id") == set()


def test_votes_and_annotations_of_cells_that_nobody_names_go_with_them(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    for sweep in SWEEPS:
        submit(root.catalog, sweep)
    pairs = {"1": "xy", "2": "zx", "3": "yw", "4": "wz"}
    rows = [{"vote_id": vote, "left_cell_id": left, "right_cell_id": right} for vote, (left, right) in pairs.items()]
    root.catalog.commit("votes", "pages", "v", rows)
    notes = [{"annotation_id": cell, "cell_id": cell, "favourite": True} for cell in "xyzw"]
    root.catalog.commit("annotations", "pages", "a", notes)
    remove(root, plan_removal(root, "aaaa1111", "na"))
    assert root.catalog.keys("votes", "vote_id") == {"3"}
    assert root.catalog.keys("annotations", "annotation_id") == {"y", "w"}
    assert fsck(root, read_data=0).problems == []


def test_a_root_that_never_had_votes_is_read_and_written_to(tmp_path: Path) -> None:
    """Below a root of an older version there is nothing of these tables."""
    root = open_root(str(tmp_path))
    submit(root.catalog, "aaaa1111")
    assert root.catalog.read("votes").num_rows == 0
    assert fsck(root, read_data=0).problems == []
    remove(root, plan_removal(root, "aaaa1111", "na"))


def test_pages_of_several_sweeps_go_with_a_sweep_that_they_show_and_others_stay(root: Root) -> None:
    shown = {"together": ["aaaa1111", "bbbb2222"], "together-0123456789ab": ["aaaa1111"], "together-ba": ["bbbb2222"]}
    for folder, sweeps in shown.items():
        root.store.put(f"gallery/{folder}/sweeps.json", json.dumps(sweeps).encode())
        root.store.put(f"gallery/{folder}/index.html", b"page")
    root.store.put("gallery/together-ba12/index.html", b"page of a sweep that is called together")
    remove(root, plan_removal(root, "aaaa1111", "na"))
    left = [stat.key for stat in root.store.list("gallery/together")]
    assert left == [
        "gallery/together-ba/index.html", "gallery/together-ba/sweeps.json", "gallery/together-ba12/index.html",
    ]  # fmt: skip
