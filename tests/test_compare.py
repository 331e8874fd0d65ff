"""What `nst compare` says: cells are paired across what differs, and deltas are those of pandas."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pandas as pd
import pytest
from browser import CHROMIUM, opened
from sweeps import TINY, write_pictures
from warm import nst as command

import nst
from tasks.root import open_root
from tasks.status import find_sweeps

FIRST = """
name: first
contents: [cat.png, dog.png]
styles: waves.png
method: {{name: gatys, {}}}
sweep: {{style_weight: [3, 30]}}
"""
HOSTILE = "</td><img src=x onerror=alert(1)> & 'ümlaut\""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_pictures(tmp_path_factory.mktemp("work"))
    texts = {
        "first": FIRST.format(TINY),
        "second": FIRST.format(TINY).replace("steps: 2", "steps: 4").replace("[3, 30]", "[30, 300]"),
        "other": FIRST.format(TINY).replace("[3, 30]", "[3, 300]"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text.replace("name: first", f"name: {name}"))
            assert nst.run(f"{name}.yaml", progress=False).failed == 0
    return folder


def compared(folder, *arguments):
    done = command("compare", *arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sweeps_are_paired_across_the_setting_that_they_differ_in(folder):
    """Of `steps` they have no value in common; of the weights, 30."""
    found = compared(folder, "first", "second")
    assert found["counts"] == {"in both": 0, "only in A": 4, "only in B": 4, "pairs of different cells": 2}
    settings = {setting["name"]: (setting["a"], setting["b"]) for setting in found["settings"]}
    assert settings == {"steps": ([2], [4]), "style_weight": ([3, 30], [30, 300])}
    assert [pair["label"] for pair in found["pairs"]] == [
        "cat x waves, style_weight=30", "dog x waves, style_weight=30",
    ]  # fmt: skip
    results = pd.read_parquet(folder / "out/catalog/results")
    at_30 = results[results.style_weight == 30].sort_values("content_name")
    sides = [at_30[at_30.steps == steps] for steps in (2, 4)]
    assert [[pair[side]["id"] for side in "ab"] for pair in found["pairs"]] == list(
        map(list, zip(*(side.cell_id for side in sides), strict=True))
    )
    metrics = {metric["name"]: metric for metric in found["metrics"]}
    for name in ("style_loss", "ssim_content", "colorfulness"):
        a, b = (side[name].to_numpy() for side in sides)
        metric = metrics[name]
        assert [metric["a"], metric["b"], metric["delta"]] == pytest.approx([a.mean(), b.mean(), (b - a).mean()])
        assert (metric["higher"], metric["lower"], metric["pairs"]) == ((b > a).sum(), (b < a).sum(), 2)
    assert metrics["steps_done"]["delta"] == 2


def test_shared_cells_are_counted_and_are_no_pairs(folder):
    found = compared(folder, "first", "other")
    assert found["counts"] == {"in both": 2, "only in A": 2, "only in B": 2, "pairs of different cells": 0}
    assert found["metrics"] == found["pairs"] == []
    same = compared(folder, "first", "first")
    assert (same["settings"], same["pairs"], same["counts"]["in both"]) == ([], [], 4)


def test_cells_are_compared_by_the_beginnings_of_their_ids(folder):
    results = pd.read_parquet(folder / "out/catalog/results").set_index(["content_name", "steps", "style_weight"])
    ids = [results.cell_id[key] for key in (("cat", 2, 3.0), ("dog", 2, 30.0))]
    found = compared(folder, *(cell[:10] for cell in ids))
    settings = {setting["name"]: (setting["a"], setting["b"]) for setting in found["settings"]}
    assert settings == {"content_name": ("cat", "dog"), "style_weight": (3, 30)}
    (pair,) = found["pairs"]
    assert [pair["a"]["id"], pair["b"]["id"]] == ids
    assert pair["a"]["picture"] == results.picture_uri["cat", 2, 3.0]


def test_models_are_compared(tmp_path):
    catalog = open_root(str(tmp_path / "out")).catalog
    common = {"family": "johnson", "name": "n", "style_names": "[]", "weights_digest": "w"}
    for model, steps, loss in (("aaaa1", 10, 2.5), ("bbbb1", 20, 2.0)):
        row = {"model_id": model, "steps": steps, "content_loss": loss, "finished_at": datetime.now(UTC)}
        row |= {"steps_done": steps, "samples_uri": "moved"}
        catalog.store.put(f"models/samples/{model}/{steps:09d}.jpg", b"a picture")
        catalog.commit("models", model, model, [common | row])
    found = compared(tmp_path, "aaaa", "bbbb")
    assert (found["kind"], found["a"]) == ("models", "n (aaaa1)")
    assert found["settings"] == [{"name": "steps", "a": 10, "b": 20}]
    deltas = {metric["name"]: metric["delta"] for metric in found["metrics"]}
    assert deltas == {"content_loss": -0.5, "steps_done": 10}
    assert command("compare", "aaaa", "bbbb", "--page", "page.html", cwd=tmp_path).returncode == 0
    assert Page((tmp_path / "page.html").read_text()).images == ["data:image/jpeg;base64,YSBwaWN0dXJl"] * 2


def test_where_nothing_pairs_it_is_said_what_no_two_cells_agree_in(tmp_path):
    write_pictures(tmp_path)
    for name, steps in (("up", "[2, 4]"), ("down", "[4, 2]")):  # both have all values, and no cell the same two
        text = FIRST.format(TINY).replace("[cat.png, dog.png]", "cat.png").replace("name: first", f"name: {name}")
        text = text.replace(
            "sweep: {style_weight: [3, 30]}", f"sweep: {{zip: [{{style_weight: [3, 30], steps: {steps}}}]}}"
        )
        (tmp_path / f"{name}.yaml").write_text(text)
        assert command("run", f"{name}.yaml", "--inline", cwd=tmp_path).returncode == 0
    said = " ".join(command("compare", "up", "down", cwd=tmp_path).stdout.split())
    assert "0 pairs of different cells: no cell of A has the same" in said
    assert re.search(r"the same [^:]*\bstyle_weight\b[^:]* as one of B", said)
    assert re.search(r"the same [^:]*\bsteps\b[^:]* as one of B", said)


def test_the_table_fits_eighty_columns(folder):
    done = command("compare", "first", "second", cwd=folder, COLUMNS="80")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines if "file://" not in line)
    assert "0 in both, 4 only in A, 4 only in B, 2 pairs of different cells" in lines
    (loss,) = (line.split() for line in lines if line.startswith("style_loss "))
    assert float(loss[2]) - float(loss[1]) == pytest.approx(float(loss[3]), abs=1e-3)
    assert "no setting differs" in command("compare", "first", "first", cwd=folder).stdout


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("first", "nothing", "no sweep, cell or model 'nothing'"),
        ("first", "", "no sweep, cell or model ''"),
        ("first", "CELL", "is a sweep and .* is a cell"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(folder, a, b, message):
    cell = pd.read_parquet(folder / "out/catalog/results").cell_id[0]
    done = command("compare", a, b.replace("CELL", cell), cwd=folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert re.search(message, done.stderr), done.stderr
    assert command("compare", "first", "second", "--page", "no/where.html", cwd=folder).returncode == 2


class Page(HTMLParser):
    """The images and the texts of a page."""

    def __init__(self, html):
        super().__init__()
        self.images, self.links, self.texts, self.tags = [], [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attributes)["src"])
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_shows_pairs_and_holds_what_it_needs(folder):
    assert command("compare", "first", "second", "--page", "page.html", cwd=folder).returncode == 0
    page = Page((folder / "page.html").read_text())
    assert len(page.images) == len(page.links) == 4
    assert all(image.startswith("data:image/webp;base64,") for image in page.images)
    assert all((folder / link).is_file() for link in page.links)
    assert "script" not in page.tags


def test_hostile_names_and_missing_pictures_are_texts(tmp_path):
    catalog = open_root(str(tmp_path / "out")).catalog
    for number, sweep in enumerate(("aaaa0000", "bbbb0000")):
        cell = {"cell_id": f"{number}" * 32, "content_name": HOSTILE, "style_name": HOSTILE}
        about = {"sweep_id": sweep, "sweep_name": f"s{number}", "submitted_at": datetime.now(UTC)}
        catalog.commit("sweeps", sweep, "c", [cell | {"position": 0}], common=about)
        row = cell | {"method": "gatys", "picture_digest": f"{number}" * 64, "picture_format": "png", "preset": HOSTILE}
        row |= {"picture_uri": "x", "seed": number, "style_loss": float(number)}
        catalog.commit("results", sweep, "r", [row])
    assert command("compare", "s0", "s1", "--page", "page.html", cwd=tmp_path).returncode == 0
    page = Page((tmp_path / "page.html").read_text())
    assert page.images == []
    assert any(HOSTILE in text for text in page.texts)
    assert sum("the picture is missing" in text for text in page.texts) == 2


def test_sweeps_of_which_nothing_is_done(tmp_path):
    catalog = open_root(str(tmp_path / "out")).catalog
    for sweep in ("aaaa0000", "bbbb0000"):
        about = {"sweep_id": sweep, "sweep_name": sweep, "submitted_at": datetime.now(UTC)}
        catalog.commit("sweeps", sweep, "c", [{"cell_id": sweep, "position": 0}], common=about)
    found = compared(tmp_path, "aaaa", "bbbb")
    none = {"in both": 0, "only in A": 0, "only in B": 0, "pairs of different cells": 0}
    assert found["counts"] == {**none, "not made yet in A": 1, "not made yet in B": 1}
    assert "no setting differs in the cells that are made" in command("compare", "aaaa", "bbbb", cwd=tmp_path).stdout


def test_what_a_partly_run_sweep_does_not_have_yet_is_no_difference(folder, monkeypatch):
    """Of `partly`, whose steps alone are others, one of four cells is made: a cat at 3."""
    monkeypatch.chdir(folder)
    (folder / "partly.yaml").write_text((folder / "first.yaml").read_text().replace("steps: 2", "steps: 3"))
    first = nst.results(sweep="first")[["cell_id", "content_name", "style_name", "style_weight"]]
    first[:1].to_csv("one.csv", index=False)
    monkeypatch.setenv("NST_ROOT", "partly")
    assert nst.run("first.yaml", progress=False).done == 4
    assert nst.run("partly.yaml", only="one.csv", progress=False).done == 1
    with pytest.warns(UserWarning, match="is the newest sweep called first; others: "):
        assert nst.results(sweep="first").steps.tolist() == [3]
    newest, older = (status.sweep_id for status in find_sweeps(open_root("partly"), "first"))
    done = command("compare", older, newest, "--root", "partly", cwd=folder)
    assert "0 in both, 4 only in A, 1 only in B, 1 pair of different cells, 3 not made yet in B\n" in done.stdout
    found = compared(folder, older, newest, "--root", "partly")
    assert [setting["name"] for setting in found["settings"]] == ["steps"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.slow
def test_the_page_opens_in_a_browser_and_asks_for_nothing(folder, tmp_path):
    pytest.importorskip("websockets.sync.client")
    assert command("compare", "first", "second", "--page", tmp_path / "page.html", cwd=folder).returncode == 0
    with opened(tmp_path / "page.html", tmp_path / "profile") as tab:
        tab.call("Page.navigate", url=(tmp_path / "page.html").as_uri())
        tab.until("document.readyState === 'complete' && document.images.length === 4")
        assert tab.js("[...document.images].every((image) => image.naturalWidth > 0)")
        assert tab.js("document.documentElement.scrollWidth <= innerWidth")
        tab.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
        assert tab.js("document.documentElement.scrollWidth <= innerWidth")
        assert tab.js("innerWidth") == 390
        assert tab.faults == []
        assert [url for url in tab.requests if not url.startswith(("file:", "data:", "about:"))] == []
