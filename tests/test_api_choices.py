"""`nst.votes`, `nst.notes` and `nst.ranking`: what was chosen on pages, as tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import nst
from nst.errors import InputError
from tasks.root import open_root

NOW = datetime(2026, 11, 30, tzinfo=UTC)
CELLS = {"a": ("gatys", 3.0), "b": ("gatys", 30.0), "c": ("mrf", 3.0), "d": ("texture", None)}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with four cells, of which two belong to the sweep `pair`."""
    monkeypatch.setenv("NST_ROOT", str(tmp_path))
    found = open_root(str(tmp_path))
    rows = [{"cell_id": cell, "method": method, "style_weight": weight} for cell, (method, weight) in CELLS.items()]
    found.catalog.commit("results", "s", "b", rows)
    common = {"sweep_id": "abcd1234", "sweep_name": "pair", "submitted_at": NOW}
    found.catalog.commit(
        "sweeps", "abcd1234", "c", [{"cell_id": c, "position": n} for n, c in enumerate("ab")], common=common
    )
    return found


def cast(root, *votes):
    """Commit votes such as "a>b" and "a=b", the first shown on the left."""
    rows = [
        {
            "vote_id": f"{number}", "left_cell_id": left, "right_cell_id": right,
            "preferred": {">": "left", "<": "right", "=": "tie"}[sign], "voted_at": NOW + timedelta(seconds=number),
        }
        for number, (left, sign, right) in enumerate(votes)
    ]  # fmt: skip
    root.catalog.commit("votes", "pages", "v", rows)


def test_a_root_without_votes_has_empty_tables(root):
    assert nst.votes().empty
    assert nst.notes().empty
    with pytest.warns(UserWarning, match=f"there are no votes below file://{root.store.uri[7:]}"):
        assert nst.ranking().empty
    with pytest.warns(UserWarning, match="no votes"):
        columns = list(nst.ranking("method").columns)
    assert columns == ["method", "strength", "standard_error", "wins", "losses", "ties"]


def test_votes_come_in_their_order_with_all_columns(root):
    cast(root, "b<a", "a=c")
    frame = nst.votes()
    assert frame.preferred.tolist() == ["right", "tie"]
    assert frame.columns.tolist() == list(root.catalog.ledger("votes").table.columns)


def test_the_latest_note_of_each_cell_counts(root):
    rows = [
        {"annotation_id": f"{n}", "cell_id": cell, "favourite": favourite, "tags": tags, "note": "", "annotated_at": at}
        for n, (cell, favourite, tags, at) in enumerate([
            ("a", True, '["print"]', NOW), ("a", False, '["print","sky"]', NOW + timedelta(1)), ("b", True, "[]", NOW),
            ("a", True, "[]", NOW - timedelta(1)),
        ])
    ]  # fmt: skip
    root.catalog.commit("annotations", "pages", "n", rows)
    frame = nst.notes()
    assert frame[["cell_id", "favourite", "tags"]].to_numpy().tolist() == [
        ["b", True, []],
        ["a", False, ["print", "sky"]],
    ]


def test_a_setting_is_ranked_by_the_votes_whose_cells_differ_in_it(root):
    cast(root, "a>b", "b<a", "a>b", "a<b", "a=c", "b>d", "d>c")  # d has no style_weight, a and c have the same
    table = nst.ranking("style_weight", prior=1e-7)
    assert table.style_weight.tolist() == [3, 30]
    assert table.strength.tolist() == pytest.approx([math.log(3) / 2, -math.log(3) / 2], abs=1e-5)
    assert table[["wins", "losses", "ties"]].to_numpy().tolist() == [[3, 1, 0], [1, 3, 0]]
    assert set(nst.ranking("method").method) == {"gatys", "mrf", "texture"}


def test_a_tie_counts_half_for_both(root):
    cast(root, "a>b", "a=b", "a=b", "b>a")
    table = nst.ranking(prior=1e-7)
    assert table.strength.tolist() == pytest.approx([0, 0], abs=1e-9)
    assert table.ties.tolist() == [2, 2]
    assert table.standard_error.tolist() == pytest.approx([0.5, 0.5], rel=1e-5)  # sqrt(1 / (4 * 1/2 * 1/2)) / 2


def test_votes_of_one_sweep_alone(root):
    cast(root, "a>b", "a>c", "c>d")
    assert nst.ranking(sweep="pair").cell_id.tolist() == ["a", "b"]
    assert sorted(nst.ranking().cell_id) == ["a", "b", "c", "d"]


def test_a_vote_about_a_cell_that_is_gone_is_left_out(root):
    cast(root, "a>x", "a>b")
    assert nst.ranking().wins.tolist() == [1, 0]


def test_what_cannot_be_ranked_is_said(root):
    for call, said in (
        (lambda: nst.ranking("style_wieght"), "no column 'style_wieght'"), (lambda: nst.ranking(prior=0), "prior"),
        (lambda: nst.ranking(prior=math.nan), "prior"), (lambda: nst.ranking(sweep="other"), "no sweep 'other'"),
    ):  # fmt: skip
        with pytest.raises(nst.errors.InputError, match=said):
            call()


def test_a_ranking_without_votes_that_count_says_why(root):
    cast(root, "a>b", "a=b")
    with pytest.warns(UserWarning, match=r"none of the 2 votes below \S+ compares cells that differ in 'method'$"):
        assert nst.ranking("method").empty
    with pytest.warns(UserWarning, match="differ in 'method' and belong to the sweep pair"):
        assert nst.ranking("method", sweep="pair").empty


WRONG = {
    "inputs": [None, 5, b"x"],
    "overrides": [None, 5, [5]],
    "only": [5, True, [], [5], ""],
    "devices": [None, 5, [5]],
    "root": [5, b"x"],
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_of_another_kind_is_one_line(tmp_path, name):
    manifest = {"name": "x", "contents": "cat.png", "styles": "waves.png", "method": "gatys"}
    for value in WRONG[name]:
        for call in (nst.run, nst.plan) if name != "devices" else (nst.run,):
            with pytest.raises(InputError) as caught:
                call(manifest, **{"root": str(tmp_path / "out"), name: value})
            assert "\n" not in str(caught.value)


def test_a_ranking_says_what_it_cannot_take(tmp_path):
    for given in ({"by": ["x"]}, {"by": 5}, {"sweep": 5}, *({"prior": p} for p in ("x", None, 1j, 0, 1e-320, np.inf))):
        with pytest.raises(InputError, match="expected"):
            nst.ranking(**{"root": str(tmp_path), **given})
    for call in (nst.votes, nst.notes, nst.ranking):
        with pytest.raises(InputError, match="no sweep has been run below"):
            call(root=tmp_path / "nowhere")
