"""A batch is written while the next one is computed, and is acknowledged after its commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sweeps import TINY, plan, rows, write_pictures

pytestmark = pytest.mark.process

MANIFEST = f"""\
name: overlapped
contents: cat.png
styles: waves.png
method: {{name: gatys, {TINY}}}
sweep: {{style_weight: [1, 2, 3, 4, 5, 6]}}
batch_size: 2
"""

HOOK = """\
import os, signal, sys, time
from pathlib import Path
how, _, _, marks = os.environ["OVERLAP"].split("|")
marks = Path(marks)

def named(path):
    "Whether this file of the worker is the first of its kind; tells so once."
    try:
        (marks / "first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def at_event(event, arguments):
    if event not in {"os.link", "os.rename"}:
        return
    path = os.fsdecode(arguments[1])
    with open(marks / "names", "a") as log:
        log.write(path + chr(10))
    if how == "hold" and "/pictures/" in path and named(path):
        while not (marks / "released").exists():  # the write of the first picture waits for the next batch's steps
            time.sleep(0.01)
    if how == "kill" and "/catalog/" in path and "results" in path and named(path):
        while not (marks / "released").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)  # just before the first batch is committed, in the middle of the second

if any("spawn_main" in argument for argument in sys.orig_argv):
    sys.addaudithook(at_event)
"""
"""What every process runs before its program (`sitecustomize`); the workers alone are watched."""

SCRIPT = f"""\
import json, os, sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}]
_, manifest, root, marks = os.environ["OVERLAP"].split("|")
marks = Path(marks)

def main():
    from orders import planned
    from tasks.work.fanout import Chunk, Fanout
    from tasks.work.workers import DevicePool

    prepared = planned(manifest, root)
    jobs = tuple(prepared.job(batch) for batch in prepared.plan.batches())

    def on_step(key, step, steps):
        if key == jobs[1].key:
            (marks / "released").touch()

    with DevicePool(prepared.root, ["cpu"], on_step) as pool:
        outcomes = Fanout(pool, prepared.root.catalog).stylize(Chunk(jobs))
    print(json.dumps([[list(outcome.done), len(outcome.failed)] for outcome in outcomes]))

if __name__ == "__main__":
    main()
"""


def run(how: str, folder: Path) -> tuple[Any, list[str]]:
    """Run three batches in one chunk; return the outcomes and the names that files of the workers got, in order."""
    (folder / "script.py").write_text(SCRIPT)
    (folder / "sitecustomize.py").write_text(HOOK)
    (folder / "marks").mkdir()
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": paths, "OVERLAP": f"{how}|{folder / 'm.yaml'}|{folder / 'out'}|{folder / 'marks'}"}
    ran = subprocess.run(
        [sys.executable, str(folder / "script.py")],
        env=os.environ | environment, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), (folder / "marks/names").read_text().splitlines()


@pytest.mark.parametrize("how", ["hold", "kill"])
def test_each_cell_is_done_once_whatever_waits_or_dies(tmp_path, how):
    prepared = plan(write_pictures(tmp_path), MANIFEST)
    outcomes, names = run(how, tmp_path)
    assert (tmp_path / "marks/released").exists(), "the second batch was computed before the first was committed"
    assert [failed for _, failed in outcomes] == [0, 0, 0]
    assert [cell for done, _ in outcomes for cell in done] == prepared.plan.cells.ids
    found = rows(prepared, "results")
    assert [row["cell_id"] for row in found] == prepared.plan.cells.ids
    assert prepared.root.catalog.keys("failures") == set()
    for row in found:
        picture, thumbnail = (Path(row[key].removeprefix("file://")).name for key in ("picture_uri", "thumbnail_uri"))
        order = [Path(name).name for name in names]
        commit = next(index for index, name in enumerate(names) if row["batch_id"] in name and "results" in name)
        assert max(order.index(picture), order.index(thumbnail)) < commit, "pictures come before the commit"
