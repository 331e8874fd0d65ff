"""What `import nst` offers: the cells of the command, in any thread, and errors in place of exits."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweeps import TINY_MANIFEST as MANIFEST
from sweeps import TINY_METHOD as METHOD
from sweeps import write_pictures
from warm import nst as command

import nst


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def ran(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return nst.run(MANIFEST, progress=False)


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
    assert {"run", "plan", "results", "picture", "grid", "notes", "ranking", "votes", "errors"} <= set(dir(nst))


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


@pytest.mark.process
def test_a_run_loads_torch_in_its_workers_alone(folder):
    """It takes seconds, and the rows that workers hand over for the page could bring it along."""
    code = (
        f"import sys, nst; run = nst.run({MANIFEST!r}, root='workers', devices='cpu', progress=False);"
        "assert (run.done, run.failed) == (4, 0); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=200)


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
