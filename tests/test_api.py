"""What `import nst` offers: the cells of the command, tables that pandas computes with, pictures from any store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sweeps import write_pictures
from warm import nst as command

import nst
from tasks.root import open_root

METHOD = {
    "name": "gatys",
    "size": 32,
    "steps": 2,
    "content_layers": "relu1_1",
    "style_layers": "relu1_1",
    "backbone": {"weights": "random"},
}
MANIFEST = {
    "name": "tiny",
    "contents": ["cat.png", "dog.png"],
    "styles": "waves.png",
    "method": METHOD,
    "sweep": {"style_weight": [3, 30]},
}


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


@pytest.mark.process
def test_the_import_loads_no_library_and_a_plan_loads_no_torch(folder):
    script = (
        "import sys, nst; found = {'torch', 'pandas', 'prefect', 'pyarrow', 'pydantic'} & set(sys.modules);"
        "assert not found, found; dir(nst); nst.errors.InputError;"
        f"plan = nst.plan({MANIFEST!r}); print(plan.total);"
        "found = {'torch', 'prefect', 'pandas'} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "4\n")


def test_unknown_names_are_told_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'nst' has no attribute 'plot'"):
        _ = nst.plot
    assert {"run", "plan", "results", "picture", "grid", "errors"} <= set(dir(nst))


def test_a_dictionary_gives_the_cells_of_the_file(folder, ran):
    """The file is run by the command, below another root."""
    (folder / "tiny.yaml").write_text(json.dumps(MANIFEST))
    assert command("run", "tiny.yaml", "--inline", "--root", "other", cwd=folder).returncode == 0
    there = pd.read_parquet(folder / "other/catalog/results")
    here = pd.read_parquet(folder / "out/catalog/results")
    digests = [dict(zip(rows.cell_id, rows.picture_digest, strict=True)) for rows in (here, there)]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4
    sweeps = pd.read_parquet(folder / "other/catalog/sweeps")
    assert set(sweeps.sweep_id) == {ran.sweep_id}


def test_a_run_tells_what_became_of_it_and_computes_nothing_twice(folder, ran, monkeypatch):
    monkeypatch.chdir(folder)
    assert (ran.name, ran.total, ran.done, ran.done_before, ran.failed, ran.failures) == ("tiny", 4, 4, 0, 0, ())
    assert ran.root == (folder / "out").as_uri()
    assert Path(ran.page.removeprefix("file://")).is_file()
    numpys = MANIFEST | {"sweep": {"style_weight": np.array([3, 30])}, "styles": folder / "waves.png"}
    again = nst.run(numpys, root=folder / "out", devices="cpu", progress=False)
    assert (again.sweep_id, again.done, again.done_before) == (ran.sweep_id, 0, 4)
    changed = nst.plan(MANIFEST, overrides="sweep.style_weight=[3, 30, 300]")
    assert (changed.total, changed.to_do, changed.details["reasons"]["done"]) == (6, 2, 4)
    assert "to do: new" in str(changed)


def test_it_runs_in_an_event_loop_and_in_a_thread(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = signal.getsignal(signal.SIGINT)
    made = []

    async def cell_of_a_notebook():
        await asyncio.sleep(0)
        made.append(nst.run(MANIFEST | {"name": "loop"}, root="loop", progress=False))

    asyncio.run(cell_of_a_notebook())
    thread = threading.Thread(
        target=lambda: made.append(nst.run(MANIFEST | {"name": "thread"}, root="thread", progress=False))
    )
    thread.start()
    thread.join()
    assert [(run.name, run.done) for run in made] == [("loop", 4), ("thread", 4)]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_progress_is_said_on_the_standard_error(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    nst.run(MANIFEST, root="said")
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", "4/4 cells")


def test_a_notebook_gets_a_bar_below_its_cell(folder, monkeypatch):
    """A stand-in for IPython: displays are kept by their id, and an update replaces what was shown."""
    shown = []

    class Handle:
        def update(self, page):
            shown[-1] = page

    class Shell:
        kernel = None

    def display(page, *, display_id):
        assert display_id
        shown.append(page)
        return Handle()

    ipython = type(sys)("IPython")
    ipython.get_ipython = Shell
    ipython.display = type(sys)("IPython.display")
    ipython.display.HTML, ipython.display.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    monkeypatch.chdir(folder)
    nst.run(MANIFEST, root="notebook")
    assert shown == ['<progress value="4" max="4"></progress> 4 of 4 cells']


@pytest.mark.slow
@pytest.mark.process
def test_a_program_without_a_guard_is_not_run_again_by_its_workers(folder):
    """A spawned process runs the main file of its parent: a call of `nst.run` in it would call itself for ever."""
    text = f"import nst\nprint('begun')\nprint(nst.run({MANIFEST!r}, root='program', progress=False).done)\n"
    (folder / "program.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )
    assert (done.stdout, done.stderr) == ("begun\n4\n", "")


# ---- what is refused ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (42, "found int 42 as the manifest"),
        (None, "found NoneType None"),
        ("nowhere.yaml", "nowhere.yaml"),
        ({"name": "x", "method": {"size": {1: 2}}}, r"the manifest\['method'\]\['size'\] has the key 1 of type int"),
        ({"name": "x", "method": {"noise": float("nan")}}, r"\['noise'\] is float nan"),
        ({"name": "x", "styles": [object()]}, r"the manifest\['styles'\]\[0\] is object"),
        ({"name": b"x"}, r"the manifest\['name'\] is bytes"),
        (MANIFEST | {"contents": "none.png"}, "none.png"),
    ],
)
def test_what_is_no_manifest_is_said_in_one_line(folder, monkeypatch, manifest, message):
    monkeypatch.chdir(folder)
    with pytest.raises(nst.errors.UserError, match=message) as caught:
        nst.run(manifest)
    assert len(str(caught.value).splitlines()) <= 3  # a line, and an excerpt of the manifest with its mark


def test_a_dictionary_that_holds_itself_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    endless = {"name": "x"}
    endless["method"] = endless
    with pytest.raises(nst.errors.InputError, match="deeper than 50 levels"):
        nst.plan(endless)


def test_faults_of_a_dictionary_are_shown_where_they_are(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(nst.errors.ManifestError) as caught:
        nst.plan(MANIFEST | {"method": METHOD | {"style_wieght": 3}, "sweeep": {}})
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("<dict>:")
    assert sum("did you mean" in line for line in lines) == 2
    assert any('"style_wieght": 3' in line for line in lines)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nst.results("nowhere"), "there are no results below file:///.*nowhere"),
        (lambda: nst.results(sweep="tinny"), "no sweep 'tinny'.*sweeps there: .*tiny"),
        (lambda: nst.results(sweep=7), "found int 7 as the sweep"),
        (lambda: nst.results(7), "found int 7 as the root"),
        (lambda: nst.run(MANIFEST, devices="cuda:99"), "this machine has no device 'cuda:99'"),
        (lambda: nst.picture(3), "found int, expected a row"),
        (lambda: nst.picture({}), "the row has no 'picture_digest'"),
        (lambda: nst.picture(nst.results()), "found DataFrame, expected a row"),
        (lambda: nst.grid(nst.results(), rows="style_wieght"), "no column 'style_wieght'.*'style_weight'"),
        (lambda: nst.grid(nst.results()[:0]), "found 0 rows"),
        (lambda: nst.grid(pd.concat([nst.results(sweep="tiny")] * 101)), "found 404 rows, expected 1 to 400"),
        (lambda: nst.grid(7), "found int, expected rows"),
        (lambda: nst.grid(nst.results(), size=9999), "found the size 9999"),
    ],
)
def test_wrong_arguments_are_told(folder, ran, monkeypatch, call, message):
    monkeypatch.chdir(folder)
    with pytest.raises(nst.errors.UserError, match=message):
        call()


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
