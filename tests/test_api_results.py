"""What `nst.results`, `nst.picture` and `nst.grid` give: tables that pandas computes with, pictures from any store."""

from __future__ import annotations

import base64
import hashlib
import shutil
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sweeps import TINY_MANIFEST as MANIFEST
from sweeps import TINY_METHOD as METHOD
from sweeps import write_pictures

import nst
from tasks.root import open_root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def ran(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return nst.run(MANIFEST, progress=False)


@pytest.fixture
def frame(ran):
    return ran.results()


# ---- results ------------------------------------------------------------------------------------------------------
def test_settings_are_parsed_and_empty_columns_left_out(folder, frame):
    plain = pd.read_parquet(folder / "out/catalog/results")
    assert len(frame) == 4
    assert frame.style_layers[0] == {"relu1_1": 1.0}
    assert frame.style_uris[0] == [(folder / "waves.png").as_uri()]
    assert frame.style_weights[0] == [1.0]
    assert not frame.isna().all().any()
    filled = set(plain.dropna(axis="columns", how="all").columns) - {"month"}  # of the files' folders
    assert filled <= set(frame.columns)
    assert "clip_frames" not in frame
    assert frame["size"].dtype == "int64"
    assert list(frame.content_name) == ["cat", "cat", "dog", "dog"]  # the order of the manifest
    assert list(frame.style_weight) == [3.0, 30.0, 3.0, 30.0]


def test_whole_numbers_stay_whole_where_some_are_missing(folder, ran, monkeypatch):
    monkeypatch.chdir(folder)
    methods = [METHOD, {"name": "baseline", "size": 32}]
    mixed = nst.run({"name": "mixed", **{k: MANIFEST[k] for k in ("contents", "styles")}, "methods": methods})
    frame = mixed.results().set_index(["content_name", "method"])
    assert frame.steps.dtype == "Int64"
    assert frame.steps["cat", "gatys"] == 2
    assert frame.steps.isna()["cat", "baseline"]


def test_a_sweep_has_its_cells_also_where_an_earlier_one_computed_them_under_other_names(folder, ran, monkeypatch):
    monkeypatch.chdir(folder)
    shutil.copy("cat.png", "katze.png")
    later = MANIFEST | {"name": "later", "contents": ["katze.png", "dog.png"]}
    assert nst.run(later, progress=False).done == 0
    frame = nst.results(sweep="later")
    assert list(frame.content_name) == ["katze", "katze", "dog", "dog"]
    assert set(frame.cell_id) == set(ran.results().cell_id)
    assert len(nst.results(sweep=ran.sweep_id[:6])) == 4
    both = MANIFEST | {"name": "both", "contents": ["cat.png", "katze.png"]}  # one picture under two names
    nst.run(both, progress=False)
    assert list(nst.results(sweep="both").content_name) == ["cat", "cat"]


def test_later_judgements_are_joined(folder, ran, frame, monkeypatch):
    monkeypatch.chdir(folder)
    row = frame.iloc[1]
    about = {"cell_id": row.cell_id, "picture_digest": row.picture_digest, "judged_at": pd.Timestamp.now("UTC")}
    judgement = about | {"judgement_id": "j", "style_gain": 0.25, "judge": "someone"}
    open_root("out").catalog.commit("judgements", "j", "j", [judgement])
    assert nst.results(sweep="tiny").style_gain.tolist()[1] == 0.25
    assert nst.results().set_index("cell_id").style_gain[row.cell_id] == 0.25


def test_a_sweep_of_which_nothing_is_done_has_no_rows(folder, ran, monkeypatch):
    monkeypatch.chdir(folder)
    common = {"sweep_id": "empty0000", "sweep_name": "empty", "submitted_at": pd.Timestamp.now("UTC")}
    open_root("out").catalog.commit("sweeps", "empty0000", "c", [{"cell_id": "c", "position": 0}], common=common)
    assert nst.results(sweep="empty").empty


# ---- pictures -----------------------------------------------------------------------------------------------------
def test_a_row_in_any_form_gives_the_picture_of_its_digest(folder, frame):
    file = folder / "out" / frame.picture_key[2]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == frame.picture_digest[2]
    expected = np.array(Image.open(file))
    for row in (frame.iloc[2], frame.iloc[2].to_dict(), list(frame.itertuples())[2]):
        assert np.array_equal(np.array(nst.picture(row)), expected)


def test_a_root_that_moved_still_has_its_pictures(folder, ran, frame, tmp_path):
    shutil.copytree(folder / "out", tmp_path / "moved")
    stale = pd.read_parquet(tmp_path / "moved/catalog/results").iloc[0].to_dict()
    expected = np.array(nst.picture(stale))
    stale["picture_uri"] = "file:///gone/" + stale["picture_uri"].partition("/pictures/")[2]
    with pytest.raises(nst.errors.InputError, match=r"does not tell .*root=\.\.\."):
        nst.picture(stale)
    assert np.array_equal(np.array(nst.picture(stale, root=tmp_path / "moved")), expected)
    there = nst.results(tmp_path / "moved", "tiny")
    assert there.picture_uri[0] == (tmp_path / "moved" / there.picture_key[0]).as_uri()
    assert nst.picture(there.iloc[0]).size == nst.picture(frame.iloc[0]).size


@pytest.mark.parametrize("store", ["local", "memory", "s3"], indirect=True)
def test_pictures_come_from_every_store(store):
    out = BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(out, "PNG")
    digest = hashlib.sha256(out.getvalue()).hexdigest()
    key = f"pictures/{digest[:2]}/{digest}.png"
    store.put(key, out.getvalue())
    row = {"picture_digest": digest, "picture_format": "png", "picture_uri": store.url(key)}
    assert np.array(nst.picture(row)).tobytes() == bytes(range(48))
    assert np.array(nst.picture(row | {"picture_uri": None}, root=store.uri)).tobytes() == bytes(range(48))


def test_missing_and_damaged_pictures_are_told(folder, frame, tmp_path):
    shutil.copytree(folder / "out", tmp_path / "moved")
    there = nst.results(tmp_path / "moved", "tiny")
    damaged, missing = (tmp_path / "moved" / there.picture_key[n] for n in (0, 1))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    missing.unlink()
    with pytest.raises(nst.errors.InputError, match="not the picture that was made"):
        nst.picture(there.iloc[0])
    with pytest.raises(nst.errors.InputError, match=r"is missing \(nst fsck"):
        nst.picture(there.iloc[1])


# ---- tables of pictures -------------------------------------------------------------------------------------------
class Cells(HTMLParser):
    """The heads, the images and the texts of a table."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.images, self.texts = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_data(self, data):
        self.texts.append(data)


def test_a_grid_has_a_place_for_each_row_and_column(frame):
    shown = nst.grid(frame, columns="style_weight")
    table = Cells(shown._repr_html_())
    assert table.texts == ["style_weight=3", "style_weight=30", "cat", "dog"]
    for source, digest in zip(table.images, frame.picture_digest, strict=True):
        thumbnail = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
        stored = Path(frame.thumbnail_uri[0].removeprefix("file://")).parents[1] / digest[:2] / f"{digest}.webp"
        assert thumbnail == stored.read_bytes()
    assert shown.note == ""
    assert shown.image.width > 2 * 160


def test_numbers_head_a_grid_in_their_order(frame):
    weights = frame.assign(style_weight=[100.0, 3.0, 30.0, 10.0])
    for rows, columns in (("content_name", "style_weight"), ("style_weight", "content_name")):
        shown = nst.grid(weights, rows=rows, columns=columns)
        heads = shown.columns if columns == "style_weight" else shown.rows
        assert heads == ("style_weight=3", "style_weight=10", "style_weight=30", "style_weight=100")


def test_a_grid_says_what_is_not_seen(frame):
    shown = nst.grid(frame)
    assert (
        shown.note
        == "2 of 4 cells are not shown, only the first of each place; cells of one place differ in style_weight"
    )
    table = Cells(shown._repr_html_())
    assert table.texts.count("1 of 2") == 2
    assert len(table.images) == 2
    assert table.texts[-1] == shown.note
    both = nst.grid(frame, rows=["content_name", "style_weight"], columns=[])
    assert both.rows == ("cat, style_weight=3", "cat, style_weight=30", "dog, style_weight=3", "dog, style_weight=30")


def test_names_are_texts_and_missing_pictures_are_told(frame):
    hostile = '<img src=x onerror="alert(1)">'
    rows = frame.assign(content_name=[hostile, "Ümläut 'n' \"q\"", None, "星"], picture_digest="0" * 64)
    rows = rows.assign(picture_uri=[f"file:///gone/pictures/00/{'0' * 64}.png"] * 4)
    table = Cells(nst.grid(rows)._repr_html_())
    assert table.images == []
    assert set(table.tags) == {"table", "tr", "th", "td", "em"}
    assert hostile in table.texts
    assert sum("is missing" in text for text in table.texts) == 4
    assert nst.grid(rows).image.height > 0


def test_settings_that_are_lists_head_a_grid(frame):
    rows = frame.assign(style_layers=[{"relu1_1": 1.0}, {"relu2_1": 1.0}, ["relu1_1"], None])
    heads = nst.grid(rows, columns="style_layers").columns
    assert heads == (
        'style_layers={"relu1_1":1.0}', 'style_layers={"relu2_1":1.0}', 'style_layers=["relu1_1"]', "style_layers=-",
    )  # fmt: skip
