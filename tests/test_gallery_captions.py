"""What is said below the cells of a page whose sweeps differ in many settings, some of which are not known."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from browser import CHROMIUM, opened

from nst.config import METHOD_CONFIGS
from tasks.catalog import parameters
from tasks.layout import manifest_key
from tasks.pages.gallery import build_gallery
from tasks.pages.unfinished import fill_settings
from tasks.store.local import LocalStore

MANIFEST = {
    "name": "both",
    "contents": "elsewhere/*.jpg",
    "styles": ["elsewhere/a.png"],
    "method": {"name": "gatys", "steps": 7},
    "sweep": {"size": [64, 96], "style_weight": [1, 10]},
}
UNKNOWN = "\u2013"  # a dash
SIZES_AND_WEIGHTS = [(64, 1.0), (64, 10.0), (96, 1.0), (96, 10.0)]


@pytest.fixture
def root(tmp_path):
    store = LocalStore(str(tmp_path))
    store.put(manifest_key("both", "f" * 16), json.dumps(MANIFEST).encode())
    return store


def undone(count):
    return [
        {"cell_id": f"{n:064x}", "position": n, "method": None, "content_name": f"c{n // 4}", "style_name": "a"}
        for n in range(count)
    ]


def filled(store, rows):
    fill_settings(store, SimpleNamespace(name="both", sweep_id="f" * 16), rows)
    return rows


def test_cells_to_do_have_the_settings_of_the_kept_manifest(root):
    rows = filled(root, undone(8))
    assert [(row["size"], row["style_weight"]) for row in rows] == SIZES_AND_WEIGHTS * 2
    assert {(row["method"], row["steps"]) for row in rows} == {("gatys", 7)}


def test_nothing_is_guessed_where_cells_were_left_out_or_the_manifest_is_gone(root, tmp_path):
    assert {row["method"] for row in filled(root, undone(7))} == {None}
    assert {row["method"] for row in filled(LocalStore(str(tmp_path / "empty")), undone(8))} == {None}


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    pytest.importorskip("websockets.sync.client")
    folder, rows = tmp_path_factory.mktemp("page"), []
    for number, (size, weight) in enumerate(SIZES_AND_WEIGHTS):
        config = METHOD_CONFIGS["gatys"](size=size, style_weight=weight, steps=10 + (size == 96))
        row = {"cell_id": f"{number:064x}", "content_name": "town", "style_name": "night", "sweep": f"s{size}"}
        rows.append(row | parameters.flatten(config) | {"error_class": "E", "error_message": "lost"})
    rows.append({"cell_id": "f" * 64, "content_name": "town", "style_name": "night", "sweep": "s64"})
    page = folder / "index.html"
    page.write_text(build_gallery(rows, title="captions", page_uri=str(page)), encoding="utf-8")
    with opened(page, tmp_path_factory.mktemp("profile")) as found:
        yield found


def captions(tab):
    return tab.js("[...document.querySelectorAll('.cell')].map((c) => c.querySelector('.settings')?.textContent ?? '')")


def test_a_caption_says_first_what_differs_at_its_place_and_never_what_is_unknown(tab):
    tab.open("x=sweep&y=none")
    shown = captions(tab)
    assert not any(UNKNOWN in words for words in shown)
    assert [words.split(",")[0] for words in shown[-2:]] == ["style_weight=1", "style_weight=10"]
    assert shown[-3] == "", "nothing is known of the last cell of the first sweep"
    assert tab.js("document.querySelector('.cell').title").count("=") == 2, "the title says all of them"
    lines = tab.js("[...document.querySelectorAll('.settings')].map((c) => c.getBoundingClientRect().height)")
    assert max(lines) <= 3 * 18 + 3


def test_filters_offer_no_value_for_what_is_unknown(tab):
    tab.open()
    offered = tab.js("[...document.querySelectorAll('#filters .axis option')].map((option) => option.textContent)")
    assert "96" in offered
    assert not {UNKNOWN, "not known yet"} & set(offered)
