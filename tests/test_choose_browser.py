"""Favourites, notes and blind votes in a real browser, by keys alone; pandas and the plan read their files."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, opened
from catalogs import voted

from nst.bradley_terry import fit
from nst.config import METHOD_CONFIGS
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.catalog import parameters
from tasks.pages.gallery import build_gallery
from tasks.pages.ranking import ranking_frame
from tasks.planning.only import read_listed

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

HOSTILE = "<img src=x onerror=window.pwned=1>"
CONTENTS, STYLES, WEIGHTS = ("town", "sea"), ("night", "scream"), (1.0, 10.0, 100.0)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    pytest.importorskip("websockets.sync.client")
    root, rows, rng = tmp_path_factory.mktemp("root"), [], np.random.default_rng(0)
    for folder in ("pictures", "gallery", "downloads"):
        (root / folder).mkdir()
    for content, style, weight in itertools.product(CONTENTS, STYLES, WEIGHTS):
        config = METHOD_CONFIGS["gatys"](style_weight=weight)
        cell_id = hashlib.sha256(repr((content, style, weight)).encode()).hexdigest()[:32]
        row = {"cell_id": cell_id, "content_name": content, "style_name": style, **parameters.flatten(config)}
        if (content, style, weight) == ("sea", "scream", 100.0):
            rows.append(row)  # not done: it cannot be compared
            continue
        picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        (root / "pictures" / f"{len(rows)}.png").write_bytes(encode(picture, OutputFormat(), {}))
        row |= {"picture_uri": f"file://{root}/pictures/{len(rows)}.png", "picture_width": 64, "picture_height": 48}
        rows.append(row)
    page = root / "gallery" / "index.html"
    page.write_text(build_gallery(rows, title="choose", page_uri=str(page)), encoding="utf-8")
    with opened(page, tmp_path_factory.mktemp("profile")) as found:
        found.rows, found.downloads = rows, root / "downloads"
        found.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(found.downloads))
        yield found


@pytest.fixture(autouse=True)
def _fresh_and_without_faults(tab):
    if tab.js("location.protocol") == "file:":
        tab.js("localStorage.clear()")
    tab.open(anew=True)
    tab.faults.clear()
    yield
    assert tab.js("window.pwned === undefined")
    assert tab.faults == []
    assert all(address.startswith(("file:", "data:", "about:", "blob:")) for address in tab.requests)


def press(tab, *keys):
    codes = {"ArrowDown": 40, "ArrowRight": 39, "?": 191, "=": 187, "Escape": 27, "Tab": 9}
    for key in keys:
        tab.key(key, codes.get(key) or ord(key.upper()))


def exported(tab, kind):
    for old in tab.downloads.iterdir():
        old.unlink()
    tab.js(f"document.querySelector('#exports [value={kind}]').click()")
    for _ in range(500):
        files = [file for file in tab.downloads.iterdir() if not file.name.endswith(".crdownload")]
        if files and files[0].stat().st_size:
            return files[0]
        tab.js("new Promise((done) => setTimeout(done, 20))")
    pytest.fail("nothing was downloaded")


def texts(tab, selector):
    return tab.js(f"[...document.querySelectorAll({selector!r})].map((node) => node.textContent)")


def vote(tab, prefer):
    """Vote for the pair that is shown: `prefer` gives the key, from the rows of both cells."""
    left, right = (tab.rows[i] for i in tab.js("voting.pair"))
    press(tab, prefer(left, right))
    return left, right


# ---- favourites, tags and notes ---------------------------------------------------------------------------------
def test_favourites_by_key_stay_when_the_page_is_opened_again_and_are_filtered(tab):
    press(tab, "ArrowDown", "f", "ArrowRight", "f", "ArrowRight", "f", "f")
    assert tab.js("document.querySelectorAll('.cell .star').length") == 2
    assert tab.js("document.activeElement.dataset.cell") == tab.rows[2]["cell_id"], "the focus stays where it was"
    tab.open(anew=True)
    assert tab.js("document.querySelectorAll('.cell .star').length") == 2
    tab.type("#mark", "favourite", "change")
    assert tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.dataset.cell)") == [
        row["cell_id"] for row in tab.rows[:2]
    ]
    assert "mark=favourite" in tab.js("location.hash")
    assert tab.js("document.querySelector('#kept').textContent") == "kept in this browser"


def test_tags_and_a_note_are_written_beside_the_open_cell_shown_found_and_filtered(tab):
    cell = tab.rows[3]["cell_id"]
    tab.js(f"document.querySelector('[data-cell=\"{cell}\"]').click()")
    press(tab, "f")
    assert tab.js("document.querySelector('#star').getAttribute('aria-pressed')") == "true"
    tab.js("document.querySelector('#tags').focus()")
    tab.call("Input.insertText", text=f" print,for Ada, print,,{HOSTILE}")
    tab.js("document.querySelector('#note').focus()")
    tab.call("Input.insertText", text=f'grey, "dull"\nand {HOSTILE}')
    press(tab, "1", "f", "v", "p")  # these belong to the note
    press(tab, "Escape")
    tab.until("!document.querySelector('#box').open")
    shown = f'[data-cell="{cell}"] .tag'
    tab.until(f"document.querySelectorAll({shown!r}).length === 4")  # the event that the dialog was closed comes later
    assert texts(tab, shown) == ["print", "for Ada", HOSTILE, "✎"]
    assert tab.js("document.querySelector('#mark').options.length") == 7
    tab.type("#mark", "tag for Ada", "change")
    assert tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.dataset.cell)") == [cell]
    tab.open("q=dull")
    assert tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.dataset.cell)") == [cell]
    tab.open(f"cell={cell}", anew=True)
    assert tab.js("document.querySelector('#note').value") == f'grey, "dull"\nand {HOSTILE}1fvp'
    assert tab.js("document.querySelector('#tags').value") == f"print, for Ada, {HOSTILE}"
    press(tab, "ArrowRight")
    assert tab.js("document.querySelector('#tags').value + document.querySelector('#note').value") == ""


def test_the_cells_in_view_are_a_table_that_pandas_and_the_plan_read(tab):
    press(tab, "ArrowDown", "f")
    tab.js(f"annotate(4, {{ tags: ['a', 'b'], note: 'one, \"two\"\\nthree {HOSTILE}' }})")
    table = pd.read_csv(exported(tab, "cells"), keep_default_na=False)
    assert table.cell_id.tolist() == [row["cell_id"] for row in tab.rows]
    assert table.favourite.tolist() == [True] + [False] * 11
    assert (table.tags[4], table.note[4]) == ("a, b", f'one, "two"\nthree {HOSTILE}')
    assert table.style_weight.tolist() == [row["style_weight"] for row in tab.rows[:11]] + [100]
    tab.type("#mark", "tagged", "change")
    listed = read_listed(str(exported(tab, "cells")))
    assert [(row.cell_id, row.told["content_name"], row.told["style_weight"]) for row in listed] == [
        (tab.rows[4]["cell_id"], "town", "10.0")
    ]


def test_no_text_of_a_table_is_run_by_a_spreadsheet(tab):
    """OWASP "CSV Injection": cells that begin with one of =+-@, a tab or a carriage return."""
    texts = ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\tx", "\rx", "'=x", "plain", "'quoted'", "a=b"]
    guarded = [f"'{text}" for text in texts[:7]] + texts[7:]
    assert tab.js(f"{json.dumps(texts)}.map((text) => harmless(text))") == guarded
    for at, text in enumerate(texts):
        tab.js(f"annotate({at}, {{ note: {json.dumps(text)} }})")
    table = pd.read_csv(exported(tab, "cells"), keep_default_na=False)
    assert table.note.tolist()[: len(texts)] == guarded
    assert tab.js("[inCsv(-1.5), inCsv('-1.5'), inCsv(null)]") == ["-1.5", "'-1.5", ""]


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString"])
def test_names_that_every_object_has_are_no_marks_and_no_state(tab, name):
    tab.open(f"mark={name}&{name}=x", anew=True)
    assert tab.js("document.querySelectorAll('.cell').length") == len(tab.rows)
    assert not tab.js(f"Object.hasOwn(state, {name!r})")
    tab.open()


def test_everything_as_json_of_which_the_plan_takes_the_favourites(tab):
    press(tab, "ArrowDown", "ArrowRight", "f")
    tab.js("annotate(4, { note: 'x' })")
    press(tab, "v", "1", "0")
    file = exported(tab, "json")
    found = json.loads(file.read_text())
    assert [row["cell_id"] for row in found["annotations"]] == [tab.rows[1]["cell_id"], tab.rows[4]["cell_id"]]
    assert pd.DataFrame(found["votes"]).preferred.tolist() == ["left", "tie"]
    (row,) = read_listed(str(file))
    assert (row.cell_id, row.told["style_weight"]) == (tab.rows[1]["cell_id"], "10.0")
    assert re.search(r":4$", row.where), "the line of the file"


# ---- votes --------------------------------------------------------------------------------------------------------
def test_nothing_tells_what_the_two_are_until_somebody_has_voted(tab):
    tab.open("n=style_loss&x=style_weight&y=content")
    press(tab, "v")
    tab.until("[...document.querySelectorAll('#sides img')].every((image) => image.complete && image.naturalWidth)")
    names = re.compile(r"town|sea|night|scream|style_weight=|[0-9a-f]{32}")
    for wipe in (False, True):
        if wipe:
            press(tab, "w")
        assert tab.js("document.querySelectorAll('#sides img').length") == 2
        shown = tab.js("document.querySelector('#vote').cloneNode(true).outerHTML")
        # the list of pairs to choose from names settings, and not those of these cells
        told = names.findall(re.sub(r"<option.*?</option>", "", shown))
        assert told == []
        assert not names.search(tab.js("location.hash").replace("x=style_weight", ""))
        covered = "(x, y) => document.querySelector('#vote').contains(document.elementFromPoint(x, y))"
        shares = "[0.01, 0.5, 0.99].flatMap((x) => [0.01, 0.5, 0.99].map((y) => [x * innerWidth, y * innerHeight]))"
        assert tab.js(f"{shares}.every(([x, y]) => ({covered})(x, y))")
    left, right = vote(tab, lambda *_: "2")
    assert tab.js("document.querySelector('#said').textContent") == (
        f"Last vote: you chose style_weight={right['style_weight']:g} over style_weight={left['style_weight']:g}."
    )


def test_pairs_share_content_and_style_the_least_compared_come_first_and_sides_are_drawn(tab):
    press(tab, "v")
    pairs = [vote(tab, lambda *_: "1") for _ in range(10)]
    for left, right in pairs:
        assert (left["content_name"], left["style_name"]) == (right["content_name"], right["style_name"])
        assert left["cell_id"] != right["cell_id"]
        assert "picture_uri" in left
        assert "picture_uri" in right
    met = [frozenset((left["cell_id"], right["cell_id"])) for left, right in pairs]
    assert len(set(met)) == 10, "all ten pairs come before one comes again"
    again = [vote(tab, lambda *_: "2") for _ in range(60)]
    assert len({frozenset((left["cell_id"], right["cell_id"])) for left, right in again}) == 10
    firsts = sum(left["style_weight"] < right["style_weight"] for left, right in pairs + again)
    assert 9 < firsts < 61  # of 70 by chance: beyond six standard deviations otherwise
    table = pd.read_csv(exported(tab, "votes"))
    assert table.preferred.tolist() == ["left"] * 10 + ["right"] * 60
    assert table.left_cell_id.tolist() == [left["cell_id"] for left, _ in pairs + again]
    assert set(table.pairs) == {"pair"}
    assert table.vote_id.is_unique
    assert len(set(table.browser)) == 1


def test_pandas_reads_the_name_of_a_browser_as_text(tab, tmp_path):
    for name in tab.js("Array.from({ length: 500 }, () => randomLetters(8))"):  # of eight digits every 28th is a number
        assert tab.js(f"isBrowser({name!r})")
        (tmp_path / "votes.csv").write_text(f"browser\n{name}\n")
        assert pd.read_csv(tmp_path / "votes.csv").browser.tolist() == [name]


def test_one_setting_alone_can_differ_or_nothing_be_shared(tab):
    press(tab, "v")
    kinds = tab.js("[...document.querySelector('#vote select').options].map((option) => option.value)")
    assert kinds == ["pair", "content", "all", "style", "style_weight"]
    for kind, same in (
        ("style", "content_name style_weight"),
        ("style_weight", "content_name style_name"),
        ("all", ""),
    ):
        tab.type("#vote select", kind, "change")
        pairs = [vote(tab, lambda *_: "0") for _ in range(6)]
        for left, right in pairs:
            assert all(left[key] == right[key] for key in same.split())
            assert (
                kind == "all"
                or left[kind if kind != "style" else "style_name"] != right[kind if kind != "style" else "style_name"]
            )
    assert set(pd.read_csv(exported(tab, "votes")).pairs) == {"style", "style_weight", "all"}


def test_all_of_it_by_keys_alone(tab):
    press(tab, "v", "Tab")
    while tab.js("document.activeElement.tagName") != "SELECT":
        press(tab, "Tab")
    for _ in range(4):
        press(tab, "ArrowDown")
    assert tab.js("document.activeElement.value") == "style_weight"
    press(tab, "1", "2")
    assert tab.js("[...choices.votes.values()].map((vote) => vote.pairs)") == ["style_weight"] * 2
    press(tab, "w")
    while tab.js("document.activeElement.type") != "range":
        press(tab, "Tab")
    before = tab.js("document.querySelector('#sides .top').style.clipPath")
    press(tab, "ArrowRight", "ArrowRight")
    assert tab.js("document.querySelector('#sides .top').style.clipPath") != before
    press(tab, "1", "?")
    assert tab.js("document.querySelector('#keys').open")
    press(tab, "2")  # nobody votes behind the list of keys
    assert tab.js("choices.votes.size") == 3
    press(tab, "?", "Escape")
    tab.until("!document.querySelector('#vote').open")
    tab.js("document.querySelector('[popovertarget]').focus()")
    tab.js("document.activeElement.click()")  # what Enter does to a button, in a browser with a window
    assert tab.js("document.querySelector('#exports').matches(':popover-open')")
    press(tab, "Tab")
    assert tab.js("document.activeElement.value") == "cells"
    press(tab, "Escape")
    assert not tab.js("document.querySelector('#exports').matches(':popover-open')")


def test_a_tie_a_skip_and_undo(tab):
    press(tab, "v")
    first = tab.js("voting.pair")
    press(tab, "=")
    second = tab.js("voting.pair")
    press(tab, "s")
    assert sorted(tab.js("voting.pair")) != sorted(second)
    assert tab.js("[...choices.votes.values()].map((vote) => vote.preferred)") == ["tie"]
    press(tab, "1", "u")
    assert tab.js("choices.votes.size") == 1
    press(tab, "u")
    assert tab.js("choices.votes.size") == 0
    assert tab.js("voting.pair") == first
    press(tab, "u", "Escape")
    tab.until("!document.querySelector('#vote').open")
    tab.open(anew=True)
    assert tab.js("choices.votes.size") == 0, "what was taken back does not return"


def test_the_cells_in_view_alone_are_compared_and_fewer_than_two_are_told(tab):
    tab.open("f.style_weight=1")
    press(tab, "v")
    assert tab.js("document.querySelector('#vote select').value") == "content"
    for left, right in [vote(tab, lambda *_: "1") for _ in range(4)]:
        assert left["style_weight"] == right["style_weight"] == 10
    press(tab, "Escape")
    tab.until("!document.querySelector('#vote').open")
    tab.open("f.style_weight=2&f.content=1&f.style=1")
    press(tab, "v", "1", "s")
    assert "fewer" in tab.js("document.querySelector('#vote').textContent")
    press(tab, "Escape")
    tab.until("!document.querySelector('#vote').open")


def test_the_ranking_of_the_page_is_that_of_python(tab, tmp_path):
    press(tab, "v")
    draw = random.Random(3)
    for _ in range(40):
        vote(
            tab,
            lambda left, right: draw.choices("012", [1, left["style_weight"] ** 0.3, right["style_weight"] ** 0.3])[0],
        )
    tab.js("document.querySelector('#vote').close()")
    press(tab, "r")
    votes = pd.read_csv(exported(tab, "votes"))
    catalog = voted(tmp_path, tab.rows, votes)
    cells = "[...row.children].map((cell) => cell.textContent)"
    rows = f"[...table.querySelectorAll('tbody tr')].map((row) => {cells})"
    tables = tab.js(f"[...document.querySelectorAll('.ranking')].map((table) => {rows})")
    assert [len(table) for table in tables] == [3, 11]
    for table, by in zip(tables, ("style_weight", "cell_id"), strict=True):
        expected = ranking_frame(catalog, by)
        found = [row[2].replace("\N{MINUS SIGN}", "-").split(" ± ") for row in table]
        for place, column in enumerate(("strength", "standard_error")):  # equal strengths may come in any order
            told = sorted(float(words[place]) for words in found)
            assert told == pytest.approx(sorted(expected[column]), abs=0.0051)
        assert not any(words[0] == "-0.00" for words in found)
        counts = [[str(count) for count in row] for row in expected[["wins", "losses", "ties"]].to_numpy()]
        assert sorted(re.findall(r"\d+", row[4]) for row in table) == sorted(counts)
    wins = [[0, 7, 2.5], [6, 0, 4], [1.5, 3, 0]]
    exact, (strengths, errors) = tab.js(f"strengthsOf({wins})"), fit(np.array(wins))
    assert exact["values"] == pytest.approx(strengths.tolist(), abs=1e-7)
    assert exact["errors"] == pytest.approx(errors.tolist(), abs=1e-7)
    tab.js("document.querySelector('.ranking .small').click()")
    assert tab.js("document.querySelector('#box').open")


def test_a_page_without_votes_says_how_to_vote(tab):
    press(tab, "r")
    assert "no votes" in tab.js("document.querySelector('main').textContent")
    tab.js("document.querySelector('main button').click()")
    assert tab.js("document.querySelector('#vote').open")


# ---- where it is kept ---------------------------------------------------------------------------------------------
def test_two_tabs_lose_nothing_of_each_other(tab):
    press(tab, "v", "1")
    other = json.loads(tab.js("localStorage.getItem('nst.choices')"))
    theirs = {**other["votes"][0], "vote_id": "e" * 32}
    note = {"annotation_id": "d" * 32, "cell_id": tab.rows[0]["cell_id"], "favourite": True, "tags": [], "note": "",
            "browser": "a" * 8, "annotated_at": "2026-11-30T00:00:00.000Z"}  # fmt: skip
    kept = json.dumps({**other, "votes": [*other["votes"], theirs], "annotations": [note]})
    tab.js(f"localStorage.setItem('nst.choices', {kept!r})")
    press(tab, "2")
    assert len(json.loads(tab.js("localStorage.getItem('nst.choices')"))["votes"]) == 3
    assert tab.js("choices.notes.size") == 1


@pytest.mark.parametrize("damage", ["{", "null", "[]", '{"votes": 3}', '{"votes": [null], "annotations": [{}]}'])
def test_what_is_damaged_there_is_passed_over(tab, damage):
    tab.js(f"localStorage.setItem('nst.choices', {damage!r})")
    tab.open(anew=True)
    press(tab, "ArrowDown", "f")
    assert tab.js("document.querySelectorAll('.cell .star').length") == 1
    tab.open(anew=True)
    assert tab.js("document.querySelectorAll('.cell .star').length") == 1


def test_a_browser_that_keeps_nothing_votes_all_the_same_and_says_so(tab):
    refusing = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    script = tab.call("Page.addScriptToEvaluateOnNewDocument", source=refusing)["identifier"]
    try:
        tab.open(anew=True)
        press(tab, "ArrowDown", "f", "v", "1", "Escape")
        tab.until("!document.querySelector('#vote').open")
        assert tab.js("document.querySelectorAll('.cell .star').length") == 1
        assert "export before you leave" in tab.js("document.querySelector('#kept').textContent")
        assert len(pd.read_csv(exported(tab, "votes"))) == 1
    finally:
        tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
        tab.open(anew=True)


def test_on_a_phone_it_fits(tab):
    tab.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    try:
        tab.open(anew=True)
        press(tab, "v")
        for wipe in ("", "w"):
            press(tab, *wipe)
            tab.until("[...document.querySelectorAll('#sides img')].every((image) => image.naturalWidth)")
            assert tab.js("document.querySelector('#vote').scrollWidth") <= 390
            assert tab.js("document.querySelector('#vote').scrollHeight") <= 844
            heights = tab.js("[...document.querySelectorAll('#sides img')].map((image) => image.clientHeight)")
            assert min(heights) > 100
        press(tab, "w", "1", "Escape")
        tab.until("!document.querySelector('#vote').open")
        press(tab, "r")
        assert tab.js("document.documentElement.scrollWidth") <= 390
    finally:
        tab.call("Emulation.clearDeviceMetricsOverride")
