"""The gallery in a real browser, opened from a folder: what a user sees and does."""

from __future__ import annotations

import hashlib
import itertools
import json

import numpy as np
import pytest
from browser import CHROMIUM, opened

from nst.config import METHOD_CONFIGS
from nst.manifest.sweep import parse_manifest
from nst.pictures.images import encode, thumbnail
from nst.records import OutputFormat
from tasks.catalog import parameters
from tasks.pages.gallery import build_gallery

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ENCODED = {
    2: {"picture_format": "jpeg", "picture_quality": 80, "picture_alpha": False},
    3: {"picture_format": "webp", "picture_quality": 95, "picture_alpha": True},
}
HOSTILE = "</script><img src=x onerror=window.pwned=1>"


def cells():
    found = []
    for content, style, weight, name in itertools.product(
        ("town", HOSTILE), ("night", "scream"), (1.0, 1e-7), ("lbfgs", "adam")
    ):
        config = METHOD_CONFIGS["gatys"](
            style_weight=weight, optimizer={"name": name}, content_layers=["relu2_2", "relu3_1"]
        )
        found.append((content, style, config, hashlib.sha256(repr((content, style, config)).encode()).hexdigest()))
    return found


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    pytest.importorskip("websockets.sync.client")
    root = tmp_path_factory.mktemp("root # with?odd %41 name")
    rows, rng = [], np.random.default_rng(0)
    for folder in ("pictures", "thumbs", "gallery"):
        (root / folder).mkdir()
    for i, (content, style, config, cell_id) in enumerate(cells()):
        row = {"cell_id": cell_id, "content_name": content, "style_name": style, **parameters.flatten(config)}
        row |= {
            "content_uri": f"s3://in/{i % 2}.jpg",
            "style_uris": json.dumps([f"s3://in/{style}.png", "s3://in/b.png"]),
        }
        row |= {"style_weights": "[0.25,0.75]", "style_mix": "losses"}
        if i % 2:
            row |= {"style_scales": "[0.5,1.0]"}
            row |= {"content_mask_uri": "s3://in/m.png", "style_mask_uris": '["#ff0000","s3://in/n.png"]'}
        row |= ENCODED.get(i, {"picture_format": "png"})
        if i == 5:
            rows.append({**row, "error_class": "NumericalError", "error_message": f"NaN {HOSTILE}"})
            continue
        picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        (root / "pictures" / f"{cell_id}.png").write_bytes(encode(picture, OutputFormat(), {}))
        (root / "thumbs" / f"{cell_id}.webp").write_bytes(thumbnail(picture))
        row |= {"content_loss": 10.0**i, "style_loss": float(-i), "picture_width": 64, "picture_height": 48}
        rows.append(
            row
            | {
                "picture_uri": f"file://{root}/pictures/{cell_id}.png",
                "thumbnail_uri": f"file://{root}/thumbs/{cell_id}.webp",
            }
        )
    head = thumbnail(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    page = root / "gallery" / "index.html"
    text = build_gallery(
        rows, title=HOSTILE, page_uri=str(page), contents={"town": head, HOSTILE: head}, styles={"night": head}
    )
    page.write_text(text, encoding="utf-8")
    with opened(page, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_faults(tab):
    tab.faults.clear()
    yield
    assert tab.js("window.pwned === undefined")
    assert tab.faults == []


def test_the_grid_shows_every_cell_with_its_headers(tab):
    tab.open()
    assert tab.js("document.querySelectorAll('.cell').length") == 16
    assert tab.js("document.querySelectorAll('.cell .fail').length") == 1
    assert tab.js("document.querySelectorAll('#main tbody tr').length") == 4
    assert tab.js("document.querySelectorAll('#main thead th').length") == 2
    assert tab.js("document.querySelectorAll('#main tbody th img').length") == 6  # "scream" has no picture of its own
    tab.until("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert tab.js("[...document.images].every((image) => image.alt.length > 3)")
    assert tab.js("document.title") == HOSTILE
    assert tab.js("document.querySelector('h1').textContent") == HOSTILE
    assert HOSTILE in tab.js("document.querySelector('#main tbody').textContent")


def test_axes_can_be_chosen_and_swapped_and_stay_in_the_address(tab):
    tab.open()
    tab.type("#x", "optimizer", "change")
    tab.type("#y", "style", "change")
    assert tab.js("document.querySelectorAll('#main tbody tr').length") == 2
    assert [
        t.split()[-1] for t in tab.js("[...document.querySelectorAll('#main thead th')].map((t) => t.textContent)")
    ] == ["lbfgs", "adam"]
    address = tab.js("location.hash")
    assert "x=optimizer" in address
    tab.open(address[1:], anew=True)
    assert tab.js("document.querySelector('#y').value") == "style"
    tab.js("document.querySelector('#swap').click()")
    assert tab.js("document.querySelector('#x').value") == "style"


def test_filters_by_value_text_and_number(tab):
    tab.open()
    tab.type("#q", "scream lbfgs")
    assert tab.js("document.querySelectorAll('.cell').length") == 4
    tab.type("#q", "nan")
    assert tab.js("document.querySelectorAll('.cell').length") == 1
    tab.open("m=style_loss&min=-3&max=0")
    assert tab.js("document.querySelectorAll('.cell').length") == 4
    tab.open("f.style=1")
    assert tab.js("document.querySelector('#count').textContent") == "8 of 16 cells"
    tab.open("q=nothing+like+this&f.nonsense=3&x=nonsense&view=nonsense&cell=nonsense")
    assert "No cell" in tab.js("document.querySelector('main').textContent")


def test_sorted_by_a_number_with_failures_last(tab):
    tab.open("view=list&sort=content_loss&desc=1")
    order = tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.dataset.cell)")
    ids = [cell_id for *_, cell_id in cells()]
    assert order == [*reversed([c for i, c in enumerate(ids) if i != 5]), ids[5]]


def test_the_box_opens_steps_compares_and_closes_by_keyboard(tab):
    tab.open("view=list")
    ids = [cell_id for *_, cell_id in cells()]
    tab.js("document.querySelector('.cell').click()")
    assert tab.js("document.querySelector('#box').open")
    assert ids[0] in tab.js("document.querySelector('#stage img').src")
    tab.key("ArrowRight", 39)
    assert ids[1] in tab.js("document.querySelector('#stage img').src")
    tab.key("ArrowLeft", 37)
    tab.key("ArrowLeft", 37)
    assert ids[-1] in tab.js("document.querySelector('#stage img').src")
    tab.key("3", 51)
    tab.type("#stage input", "25")
    assert tab.js("document.querySelector('#stage .top').style.clipPath") == "inset(0px 75% 0px 0px)"
    tab.key("2", 50)
    assert tab.js("document.querySelectorAll('#stage figure').length") == 2
    tab.key("p", 80)
    tab.key("ArrowRight", 39)
    assert "pinned" in tab.js("document.querySelector('#stage').textContent")
    tab.until("[...document.querySelectorAll('#stage img')].every((i) => i.complete && i.naturalWidth > 0)")
    assert f"cell={ids[0]}" in tab.js("location.hash")
    tab.key("Escape", 27)
    tab.until("!document.querySelector('#box').open")
    tab.until("!/cell=/.test(location.hash)")


def test_a_failed_cell_says_why(tab):
    ids = [cell_id for *_, cell_id in cells()]
    tab.open(f"cell={ids[5]}")
    assert f"NumericalError: NaN {HOSTILE}" in tab.js("document.querySelector('#facts').textContent")
    assert tab.js("document.querySelectorAll('#stage img').length") == 0


def test_the_yaml_of_a_cell_is_a_manifest_of_that_cell(tab):
    for i, (content, style, config, cell_id) in enumerate(cells()[:6]):
        tab.open(f"cell={cell_id}")
        manifest = parse_manifest(tab.js("document.querySelector('#yaml').textContent"), "cell.yaml")
        (spec,) = manifest.contents
        assert spec.uri == f"s3://in/{i % 2}.jpg"
        assert spec.mask == ("s3://in/m.png" if i % 2 else None)
        assert spec.name == (None if content == HOSTILE else content)  # no manifest may name it so
        (mixed,) = manifest.styles
        assert (mixed.name, mixed.mix) == (style, "losses")
        assert [(image.uri, image.weight) for image in mixed.images] == [
            (f"s3://in/{style}.png", 0.25),
            ("s3://in/b.png", 0.75),
        ]
        assert mixed.masks == (("#ff0000", "s3://in/n.png") if i % 2 else (None, None))
        assert mixed.scales == ((0.5, 1.0) if i % 2 else (1.0, 1.0))
        text = tab.js("document.querySelector('#yaml').textContent")
        assert f"style_weight: {'1e-7' if config.style_weight < 1 else 1}" in text
        assert len(manifest.variants) == 1
        assert manifest.variants.config(0) == config
        written = {2: OutputFormat("jpeg", 80), 3: OutputFormat("webp", 95, alpha=True)}
        assert manifest.output == written.get(i, OutputFormat())


def test_the_plot_has_a_dot_per_cell_and_opens_it(tab):
    tab.open("view=plot&px=style_loss&py=content_loss&pc=optimizer")
    assert tab.js("document.querySelectorAll('circle').length") == 15
    assert "content_loss (log)" in tab.js("document.querySelector('main svg').textContent")
    heights = tab.js("[...document.querySelectorAll('circle')].map((dot) => Number(dot.getAttribute('cy')))")
    assert heights == sorted(heights, reverse=True)
    assert (
        20
        <= heights[-1]
        < heights[0]
        <= tab.js("document.querySelector('main svg').getBoundingClientRect().height") - 60
    )
    tab.js("document.querySelector('circle').dispatchEvent(new MouseEvent('click'))")
    assert tab.js("document.querySelector('#box').open")


def test_light_and_dark(tab):
    tab.open("theme=dark")
    dark = tab.js("getComputedStyle(document.body).backgroundColor")
    tab.key("t", 84)
    assert tab.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark


def test_of_several_methods_each_cell_tells_what_its_own_has(tab):
    picture = f"file://{next((tab.page.parents[1] / 'pictures').iterdir())}"
    rows = []
    for name, settings in (
        ("gatys", {"style_weight": 3}), ("gatys", {"style_weight": 30}), ("texture", {}),
        ("mrf", {"style_weight": 3, "rotations": 1}), ("mrf", {"style_weight": 30, "rotations": 2}),
    ):  # fmt: skip
        config = METHOD_CONFIGS[name](**settings)
        row = {"content_name": "town" if name != "texture" else None, "style_name": "night", "picture_uri": picture}
        rows.append({"cell_id": f"{len(rows):032x}", **row, **parameters.flatten(config)})
    page = tab.page.with_name("mixed.html")
    page.write_text(build_gallery(rows, title="mixed", page_uri=str(page)), encoding="utf-8")
    tab.call("Page.navigate", url=page.as_uri())
    tab.until("document.title === 'mixed' && document.querySelector('#views button') !== null")
    heads = tab.js("[...document.querySelectorAll('#main thead th')].map((head) => head.textContent)")
    assert heads == ["method gatys", "method texture", "method mrf"]
    assert tab.js("[...document.querySelectorAll('#main tbody th')].map((head) => head.textContent)") == ["town", ""]
    assert tab.js("[...document.querySelectorAll('.cell')].map((cell) => cell.textContent)") == [
        "style_weight=3", "style_weight=30", "style_weight=3, rotations=1", "style_weight=30, rotations=2", "",
    ]  # fmt: skip
    tab.open(anew=True)
