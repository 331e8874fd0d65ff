"""The page in a real browser as people handle it: by keys alone, on a phone, zoomed together, by a screen reader."""

from __future__ import annotations

import json

import pytest
from axe_core_python.base import AXE_SCRIPT
from browser import CHROMIUM
from look import WEIGHTS, looked_at

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with looked_at(tmp_path_factory) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_faults(tab):
    tab.faults.clear()
    yield
    tab.call("Emulation.clearDeviceMetricsOverride")
    assert tab.faults == []
    assert all(address.startswith(("file:", "data:", "about:")) for address in tab.requests)


def texts(tab, selector):
    return tab.js(f"[...document.querySelectorAll({selector!r})].map((node) => node.textContent)")


def test_counts_follow_the_filters_and_filter_themselves(tab):
    tab.open()
    assert texts(tab, ".chip") == ["7 pictures", "1 failed", "1 to do"]
    tab.type("#q", "hill")
    assert texts(tab, ".chip") == ["1 picture", "1 failed", "1 to do"]
    assert tab.js("document.querySelector('#count').textContent") == "3 of 9 cells"
    tab.js("document.querySelector('.chip.failed').click()")
    assert tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.dataset.cell)") == [tab.ids[7]]
    assert tab.js("document.querySelector('.chip.failed').getAttribute('aria-pressed')") == "true"


def test_arrows_move_in_the_grid_and_one_cell_alone_is_reached_by_the_tab_key(tab):
    tab.open("x=style_weight&y=content")
    focused = "document.activeElement.dataset.cell"
    tab.key("ArrowDown", 40)
    assert tab.js(focused) == tab.ids[0]
    for key, code, expected in (
        ("ArrowRight", 39, 1), ("ArrowDown", 40, 4), ("ArrowDown", 40, 7), ("ArrowLeft", 37, 6), ("ArrowUp", 38, 3),
    ):  # fmt: skip
        tab.key(key, code)
        assert tab.js(focused) == tab.ids[expected], (key, expected)
    assert tab.js("[...document.querySelectorAll('.cell[tabindex=\"0\"]')].map((c) => c.dataset.cell)") == [tab.ids[3]]
    tab.key("Enter", 13)
    tab.js("document.activeElement.click()")  # what Enter does to a button, in a browser with a window
    assert tab.js("document.querySelector('#box').open")
    tab.key("Escape", 27)
    tab.until(f"{focused} === {tab.ids[3]!r}")


def test_the_keys_are_listed(tab):
    tab.open()
    tab.key("?", 191)
    assert tab.js("document.querySelector('#keys').open")
    assert len(texts(tab, "#keys kbd")) >= 10
    tab.key("Escape", 27)
    tab.until("!document.querySelector('#keys').open")


def test_controls_fold_away_and_are_folded_on_a_phone(tab):
    tab.open()
    assert tab.js("document.querySelector('#tools').offsetHeight > 0")
    tab.key("c", 67)
    assert tab.js("document.querySelector('#tools').offsetHeight") == 0
    assert tab.js("document.querySelector('#fold').getAttribute('aria-expanded')") == "false"
    tab.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    tab.open(anew=True)
    assert tab.js("document.querySelector('#tools').offsetHeight") == 0
    assert tab.js("document.documentElement.scrollWidth") <= 390
    tab.js("document.querySelector('.cell').click()")
    assert tab.js("document.documentElement.scrollWidth") <= 390
    assert tab.js("document.querySelector('#stage img').getBoundingClientRect().height > 100")
    tab.js("document.querySelector('#box').close()")


def test_the_pictures_fill_the_width(tab):
    for width in (1400, 700):
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=1600, deviceScaleFactor=1, mobile=False)
        tab.open("x=style_weight&y=content", anew=True)
        rights = tab.js("[...document.querySelectorAll('.cell')].map((c) => c.getBoundingClientRect().right)")
        assert 0.9 * width < max(rights) <= width


def test_the_panel_groups_measured_numbers_with_units_and_has_no_settings_among_them(tab):
    tab.open(f"cell={tab.ids[1]}&pin={tab.ids[0]}&against=pin&mode=side")
    heads = texts(tab, "#facts h3")
    assert heads[:2] == ["Settings that differ", "Losses"]
    rows = tab.js(
        "[...document.querySelectorAll('#facts tbody tr')].map((row) => [...row.children].map((c) => c.textContent))"
    )
    found = {row[0]: row[1:] for row in rows}
    assert texts(tab, "#facts .numbers thead th")[:3] == ["pinned", "this", "difference"], (
        "in the order of the pictures"
    )
    assert rows[0] == ["style_weight", "1", "10"]
    assert found["seconds"] == ["12.5 s", "12.5 s", "0 s"]
    assert found["picture_bytes"][0] == "1.23 MB"
    assert found["psnr_content"] == ["21 dB", "30 dB", "+9 dB"]
    assert found["content_loss"] == ["1", "10", "+9"]
    assert not tab.js("document.querySelector('#facts details:has(summary)').open"), "converted weights are folded away"


def test_pictures_zoom_and_move_together_and_show_their_pixels(tab):
    tab.open(f"cell={tab.ids[1]}&pin={tab.ids[0]}&against=pin&mode=side&pins={tab.ids[3]},{tab.ids[4]},{tab.ids[0]}")
    pictures = "[...document.querySelectorAll('#stage .show img')]"
    assert tab.js(f"{pictures}.length") == 4
    tab.until(f"{pictures}.every((image) => image.naturalWidth > 0)")
    assert set(tab.js(f"{pictures}.map((image) => image.style.transform)")) == {""}
    box = tab.js("(({left, top, width, height}) => [left, top, width, height])"
                 "(document.querySelector('#stage .own').getBoundingClientRect())")  # fmt: skip
    x, y = box[0] + box[2] / 4, box[1] + box[3] / 2
    tab.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-2000)
    tab.until("look.scale > 2")
    (transform,) = set(tab.js(f"{pictures}.map((image) => image.style.transform)"))
    moved, scale = tab.js("[look.x, look.scale]")
    assert moved == pytest.approx(0.25 - 0.25 * scale, rel=0.05), "what is under the pointer stays there"
    assert set(tab.js(f"{pictures}.map((image) => getComputedStyle(image).imageRendering)")) == {"pixelated"}
    for kind, at in (("mousePressed", x), ("mouseMoved", x - 40), ("mouseReleased", x - 40)):
        tab.call("Input.dispatchMouseEvent", type=kind, x=at, y=y, button="left", buttons=1, clickCount=1)
    (after,) = set(tab.js(f"{pictures}.map((image) => image.style.transform)"))
    assert after != transform
    assert tab.js("look.x") == pytest.approx(moved - 40 / box[2], abs=0.01)
    tab.key("0", 48)
    assert set(tab.js(f"{pictures}.map((image) => image.style.transform)")) == {""}


def test_slider_and_difference_say_which_is_which_and_the_edge_stays_when_zoomed(tab):
    tab.open(f"cell={tab.ids[1]}&pin={tab.ids[0]}&against=pin&mode=slider")
    left, right = texts(tab, ".which")
    assert (left, right) == ("pinned: town style_weight=1", "this: town style_weight=10")
    tab.js("zoomTo(2, 0.5, 0.5)")
    tab.type("#stage .fit input", "75")
    # At twice the size around the middle, three quarters of the frame are 0.625 of the picture.
    assert tab.js("document.querySelector('#stage .top').style.clipPath") == "inset(0px 37.5% 0px 0px)"
    tab.open(f"cell={tab.ids[1]}&pin={tab.ids[0]}&against=pin&mode=difference")
    assert texts(tab, ".which")[0].startswith("difference of pinned: town")
    tab.js("document.querySelector('#box').close()")


def test_a_slider_goes_along_a_setting_and_stays_at_the_same_content(tab):
    tab.open(f"cell={tab.ids[3]}")
    assert texts(tab, "#along label span") == ["style_weight"]
    for at in (1, 0, 1):
        tab.type("#along input", str(at))
        assert f"cell={tab.ids[3 + at]}" in tab.js("location.hash")
        assert texts(tab, "#along output") == [f"{WEIGHTS[at]:g}"]
    assert tab.js("document.querySelector('#along input').getAttribute('aria-valuetext')") == "10"
    tab.js("document.querySelector('#box').close()")


def test_a_plot_of_a_setting_with_logarithms_by_choice_and_its_pareto_front(tab):
    tab.open("view=plot&px=style_weight&py=content_loss&lx=0")
    text = "document.querySelector('main svg').textContent"
    assert "style_weight" in tab.js(text)
    assert "style_weight (log)" not in tab.js(text)
    tab.js("document.querySelector('#lx').click()")
    assert "style_weight (log)" in tab.js(text)
    across = sorted(
        set(tab.js("[...document.querySelectorAll('circle')].map((dot) => Number(dot.getAttribute('cx')))"))
    )
    assert across[1] - across[0] == pytest.approx(across[2] - across[1]), "1, 10, 100 are equally far apart"
    # The losses of a weight are the weight and its inverse: with both small, no cell beats another.
    tab.open("view=plot&px=content_loss&py=style_loss&front=ll")
    assert set(tab.js("[...document.querySelectorAll('.onfront')].map((dot) => dot.dataset.cell)")) >= set(
        tab.ids[:3:2]
    )
    tab.open(
        "view=plot&px=content_loss&py=style_loss&front=lh"
    )  # a small content loss and a large style loss: weight 1
    best = tab.js("[...document.querySelectorAll('.onfront')].map((dot) => dot.dataset.cell)")
    assert len(best) == 1
    assert best[0] in tab.ids[::3]


def test_a_number_tints_the_cells_and_has_means_by_row_and_column(tab):
    tab.open("x=style_weight&y=content&n=content_loss")
    means = texts(tab, "thead .mean")
    assert means == ["mean 1", "mean 10", "mean 100"]
    assert texts(tab, "tbody .mean") == ["mean 37", "mean 37", "mean 1"]  # of hill, only the first is done
    tints = tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.style.getPropertyValue('--tint'))")
    assert tints[0] == tints[3] != tints[1]
    assert tints[7] == ""


def test_two_rows_are_seen_and_no_picture_is_blown_up_until_somebody_asks(tab):
    tab.call("Emulation.setDeviceMetricsOverride", width=2600, height=900, deviceScaleFactor=1, mobile=False)
    tab.open("x=style_weight&y=content", anew=True)
    bottoms = tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.getBoundingClientRect().bottom)")
    assert bottoms[3] <= 900
    tab.js("DATA.shapes.fill('32 / 24'); drawCells()")
    assert tab.js("document.querySelector('.cell').getBoundingClientRect().width") == 84, "the least width"
    tab.js("DATA.shapes.fill('64 / 48'); drawCells()")
    assert tab.js("document.querySelector('.cell').getBoundingClientRect().width") == 2.5 * 64
    tab.open("x=style_weight&y=content&size=300", anew=True)
    assert tab.js("document.querySelector('.cell').getBoundingClientRect().width") == 300


def test_a_starred_cell_of_the_sorted_view_keeps_its_name(tab):
    tab.open("view=list", anew=True)
    tab.js("annotate(0, {favourite: true})")
    cell = f"document.querySelector('[data-cell=\"{tab.ids[0]}\"]')"
    assert tab.js(f"{cell}.querySelector('.star') !== null")
    assert tab.js(f"{cell}.querySelector('.rank').textContent") == "town"
    tab.js("annotate(0, {favourite: false})")


def axe(tab):
    """Return what axe-core finds against WCAG 2.1 A and AA and its own best practices, rule by rule."""
    tab.js(f"window.axe || (() => {{ {AXE_SCRIPT} }})()")
    found = tab.js("axe.run({resultTypes: ['violations']}).then((result) => JSON.stringify(result.violations))")
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in json.loads(found)}


STATES = ["", "view=list&sort=seconds", "view=plot", "view=steps", "view=ranking", "box", "slider", "v", "?"]


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1300),
        ("dark", 390),
        pytest.param("dark", 1300, marks=pytest.mark.proof),
        pytest.param("light", 390, marks=pytest.mark.proof),
    ],
)
def test_axe_finds_nothing_in_any_view(tab, theme, width):
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=850, deviceScaleFactor=1, mobile=width < 500)
    boxes = {"box": f"cell={tab.ids[1]}", "slider": f"cell={tab.ids[1]}&pin={tab.ids[0]}&against=pin&mode=slider"}
    found = {}
    for state in STATES:
        tab.open(f"{boxes.get(state, state if '=' in state else '')}&theme={theme}", anew=True)
        if state in {"v", "?"}:
            tab.key(state)
            tab.until("document.querySelector('dialog[open]') !== null")
        found[state] = axe(tab)
    tab.open(anew=True)  # without the dialog
    assert found == {state: {} for state in STATES}
