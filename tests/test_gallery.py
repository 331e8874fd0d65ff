"""The gallery's page: self-contained, safe with hostile strings, and its data are the catalog's."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re

import numpy as np
import pandas as pd
import pytest

from nst.config import METHOD_CONFIGS
from nst.pictures.images import thumbnail
from tasks.catalog import parameters
from tasks.pages.gallery import build_gallery
from tasks.pages.gallery.columns import tabulate
from tasks.pages.gallery.links import relative
from tasks.pages.gallery.settings import places

PAGE = "s3://lab/nst/gallery/one.html"
HOSTILE = "</script><script>alert(1)</script><!-- <b onload=x> ' \" & \u2028 夜 \ud800"


def row(cell_id, content="town", style="night", *, error=None, **settings):
    measured = {"style_loss": 0.5, "content_loss": 0.25, "ssim_content": settings.pop("ssim_content", 0.75)}
    found = {"cell_id": cell_id, "content_name": content, "style_name": style, "content_uri": f"s3://in/{content}.jpg"}
    found |= {"style_uris": json.dumps([f"s3://in/{style}.jpg"]), "style_weights": "[1.0]"}
    found |= parameters.flatten(METHOD_CONFIGS["gatys"](**settings))
    if error:
        return {**found, "error_class": "NumericalError", "error_message": error}
    return {
        **found,
        **measured,
        "picture_uri": f"s3://lab/nst/pictures/{cell_id}.png",
        "thumbnail_uri": f"s3://lab/nst/thumbs/{cell_id}.webp",
    }


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.inside = [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = f"{tag}#{dict(attrs).get('id', '')}"

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        self.texts[self.inside] = self.texts.get(self.inside, "") + data

    @property
    def data(self):
        return json.loads(self.texts["script#data"])


def test_the_page_carries_everything_but_the_pictures():
    picture = thumbnail(np.full((40, 60, 3), (9, 99, 200), np.uint8))
    text = build_gallery(
        [row("a"), row("b", seed=1)], title="t", page_uri=PAGE, contents={"town": picture}, styles={"night": b"?"}
    )
    page = Page(text)
    for tag, attributes in page.tags:
        assert attributes.get("src", "contact_sheet.jpg") == "contact_sheet.jpg", tag  # without JavaScript
        assert "href" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")]
    assert page.data["pictures"] == ["../pictures/a.png", "../pictures/b.png"]
    assert page.data["thumbs"] == ["../thumbs/a.webp", "../thumbs/b.webp"]
    assert page.data["heads"]["content"]["town"].startswith("data:image/webp;base64,")
    assert page.data["heads"]["style"]["night"] is None
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    script = page.texts["script#"]
    assert not re.search(r"\b(XMLHttpRequest|importScripts|eval|innerHTML|document\.write)\b", script)
    # the server of pages alone is asked, by a page that has its token; the policy admits no other
    assert re.findall(r"fetch\(.*?,", script) == ["fetch(path,"]
    assert set(re.findall(r"\bask\((.*?)[,)]", script)) == {"path", '"/choices"', '"/now"'}


def test_the_policy_admits_our_script_and_no_other():
    page = Page(build_gallery([row("a")], title="t", page_uri=PAGE))
    policy = next(
        a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(page.texts["script#"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert {"img-src 'self' data: file:", "media-src 'self' file:"} <= set(policy.split("; ")), "no other address"
    assert [part for part in policy.split("; ") if part.startswith("connect-src")] == ["connect-src 'self'"]
    assert "strict-dynamic" not in policy, "a page without news and losses loads no script"
    assert "'strict-dynamic'" in build_gallery([row("a")], title="t", page_uri=PAGE, run="7")
    assert "'strict-dynamic'" in build_gallery([row("a")], title="t", page_uri=PAGE, has_traces=True)


def test_hostile_strings_stay_strings():
    rows = [row("a", HOSTILE, HOSTILE), row("b", HOSTILE, "x", error=HOSTILE)]
    text = build_gallery(rows, title=HOSTILE, page_uri=PAGE, contents={HOSTILE: b""})
    page = Page(text.encode().decode())  # it can be written as UTF-8
    assert [tag for tag, _ in page.tags].count("script") == 2
    kept = HOSTILE.replace("\ud800", "?")
    assert page.data["only"]["content"] == kept
    assert page.data["errors"] == [None, f"NumericalError: {kept}"]
    assert page.texts["title#"].startswith("</script><script>alert(1)")
    assert "<b onload" not in text


def test_axes_are_what_varies_and_followers_what_follows():
    rows = [
        row(f"{c}{s}{o}{w}", c, s, optimizer={"name": o}, style_weight=w, tv_weight=w * 2)
        for c in "pq" for s in "xyz" for o in ("lbfgs", "adam") for w in (10.0, 1.0)
    ]  # fmt: skip
    data = tabulate(rows, PAGE)
    axes = {axis["key"]: axis["values"] for axis in data["axes"]}
    assert list(axes) == ["content", "style", "style_weight", "optimizer"]
    assert axes["style_weight"] == [1.0, 10.0]
    assert axes["style"] == ["x", "y", "z"]
    assert set(data["followers"]) == {
        "tv_weight",
        *(k for k in parameters.flatten(METHOD_CONFIGS["gatys"](optimizer="adam")) if k.startswith("optimizer_")),
        "optimizer_history",
        "optimizer_max_move",
    }
    assert data["fixed"]["size"] == 512
    assert "style_weight" not in data["fixed"]
    for axis in data["axes"]:
        assert len(axis["index"]) == len(rows)
    assert [axes["style_weight"][i] for i in data["axes"][2]["index"][:2]] == [10.0, 1.0]


def test_layers_that_only_some_weights_reach_follow_the_weights():
    rows = [row(f"{w}{s}", "p", "x", backbone={"weights": w}, style_weight=s)
            for w in ("embedded", "draft", "random") for s in (3.0, 30.0)]  # fmt: skip
    data = tabulate(rows, PAGE)
    assert [axis["key"] for axis in data["axes"]] == ["style_weight", "backbone_weights"]
    assert {"content_layers", "style_layers"} <= data["followers"].keys()


def test_a_done_row_wins_over_failures_and_the_last_failure_counts():
    rows = [row("a", error="first"), row("b", error="once"), row("a"), row("b", error="twice"), row("a", error="late")]
    data = tabulate(rows, PAGE)
    assert data["ids"] == ["a", "b"]
    assert data["errors"] == [None, "NumericalError: twice"]
    assert data["pictures"] == ["../pictures/a.png", None]


def test_a_cell_that_is_not_done_makes_no_axes():
    bare = {
        "cell_id": "c",
        "content_name": "town",
        "style_name": "night",
        "method": None,
        "seed": None,
        "picture_uri": None,
    }
    text = build_gallery([row("a"), row("b", seed=1), bare], title="t", page_uri=PAGE)
    data = Page(text).data
    assert [axis["key"] for axis in data["axes"]] == ["seed"]
    assert data["fixed"]["size"] == 512
    assert data["known"] == [True, True, False]
    assert data["errors"] == [None, None, ""]
    assert "2 pictures, 1 not done" in text


def test_pandas_nulls_and_numpy_numbers_are_plain_json():
    odd = row("a") | {
        "seconds": float("nan"),
        "seed": 3.0,
        "ssim_content": np.float32(0.25),
        "style_weight": np.float64(7),
        "content_name": None,
        "content_uri": float("nan"),
        "peak_memory_bytes": np.int64(5),
        "pooling": pd.NA,
    }
    data = json.loads(json.dumps(tabulate([odd], PAGE), allow_nan=False))
    numbers = {metric["key"]: metric["values"] for metric in data["metrics"]}
    assert numbers["ssim_content"] == [0.25]
    assert numbers["peak_memory_bytes"] == [5]
    assert "seconds" not in numbers
    assert data["fixed"]["seed"] == 3
    assert isinstance(data["fixed"]["seed"], int)
    assert data["fixed"]["style_weight"] == 7
    assert data["only"]["content"] == ""
    assert data["sources"]["values"] == [
        {
            "content": None,
            "mask": None,
            "styles": ["s3://in/night.jpg"],
            "masks": [],
            "weights": [1.0],
            "mix": None,
            "scales": [],
        }
    ]


def test_an_empty_sweep_has_a_page():
    assert Page(build_gallery([], title="nothing", page_uri="/out/gallery/x.html")).data["ids"] == []


@pytest.mark.parametrize("method", METHOD_CONFIGS)
def test_every_setting_of_a_method_has_its_place_in_a_manifest(method):
    flat = parameters.flatten(METHOD_CONFIGS[method]())
    known = places(method)
    assert set(flat) <= set(known)
    assert known["method"].keys == ["name"]
    for column, value in flat.items():
        assert known[column].structured == (isinstance(value, str) and value[:1] in set("[{")), column


@pytest.mark.parametrize(
    ("uri", "page", "expected"),
    [
        ("s3://b/r/pictures/ab/1.png", "s3://b/r/gallery/x.html", "../pictures/ab/1.png"),
        ("file:///out/pictures/1.png", "/out/gallery/x.html", "../pictures/1.png"),
        ("/out/a b#?.png", "file:///out/x.html", "a%20b%23%3F.png"),
        ("/out/javascript:alert(1)", "/out/x.html", "javascript%3Aalert(1)"),
        ("https://h/p/1.png", "/out/x.html", "https://h/p/1.png"),
        ("s3://other/1.png", "s3://b/x.html", None),
        ("javascript://x/%0aalert(1)", "/out/x.html", None),
        ("memory://r/p/1.png", "memory://r/g/x.html", "../p/1.png"),
        (None, "/out/x.html", None),
        (float("nan"), "/out/x.html", None),
    ],
)
def test_links_are_relative_within_a_root_and_never_code(uri, page, expected):
    assert relative(uri, page) == expected


def test_five_thousand_cells_make_a_page_of_a_few_megabytes():
    one = row("0" * 64)
    rows = [
        {
            **one,
            "cell_id": f"{i:064x}",
            "seed": i % 50,
            "style_weight": float(i // 50),
            "picture_uri": f"s3://lab/nst/pictures/ab/{i:064x}.png",
            "thumbnail_uri": None,
        }
        for i in range(5000)
    ]
    text = build_gallery(rows, title="t", page_uri=PAGE)
    assert len(text) < 2_000_000
    assert len(Page(text).data["ids"]) == 5000
