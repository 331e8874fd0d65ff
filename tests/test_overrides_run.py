"""Changes on the command line from the plan to the record: the recorded manifest says what was run."""

from __future__ import annotations

import json

import pytest
from orders import planned
from sweeps import TINY, write_pictures
from warm import nst

from flows.order.request import Request, order_of
from nst.errors import ManifestError
from tasks.planning.registration import register_sweep
from tasks.root import open_root

MANIFEST = f"""\
name: changed
contents: cat.png
styles: waves.png
method: {{name: gatys, {TINY}}}
"""
CHANGES = ("method.steps=1", "sweep.style_weight=[1, 2]", "output.format=webp")


def prepared(folder, *overrides):
    return order_of(Request(str(folder / "m.yaml"), open_root(str(folder / "out")), overrides=overrides)).prepared


def test_changes_are_part_of_the_plan_and_of_its_id(tmp_path):
    (write_pictures(tmp_path) / "m.yaml").write_text(MANIFEST)
    plain, changed = prepared(tmp_path).plan, prepared(tmp_path, *CHANGES).plan
    assert (plain.total, changed.total) == (1, 2)
    assert plain.sweep_id != changed.sweep_id
    written = MANIFEST.replace("steps: 2", "steps: 1") + "sweep: {style_weight: [1, 2]}\noutput: {format: webp}\n"
    (tmp_path / "written.yaml").write_text(written)
    assert planned(tmp_path / "written.yaml", tmp_path / "out").plan.sweep_id == changed.sweep_id


def test_the_recorded_manifest_is_the_changed_one_and_plans_the_same_sweep(tmp_path):
    (write_pictures(tmp_path) / "base.yaml").write_text(MANIFEST)
    (tmp_path / "m.yaml").write_text("extends: base.yaml\nname: mine\n")
    sweep = prepared(tmp_path, *CHANGES)
    register_sweep(sweep)
    (recorded,) = (tmp_path / "out/manifests").rglob("*.yaml")
    assert recorded.read_text().splitlines()[0] == "# m.yaml with " + " ".join(CHANGES)
    (tmp_path / "again.yaml").write_text(recorded.read_text())
    assert planned(tmp_path / "again.yaml", tmp_path / "out").plan.sweep_id == sweep.plan.sweep_id


def test_the_commands_take_changes_anywhere_behind_the_manifest(tmp_path):
    (write_pictures(tmp_path) / "m.yaml").write_text(MANIFEST)
    plan = nst("plan", "m.yaml", "method.size=40", "--json", "sweep.seed=[0]", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["axes"] == {"seed": [0]}
    run = nst("run", "m.yaml", "--inline", "method.size=40", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "1 done" in run.stdout
    wrong = nst("plan", "m.yaml", "method.siez=40", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("<command line>:1:8: error: unknown key 'siez'; did you mean 'size'?\n")
    assert "1 | method.siez=40\n  |        ^^^^" in wrong.stderr


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("method.style_weight=.nan", "found .nan, expected a finite number"),
        ("batch_size=.inf", "found .inf, expected"),
        (f"method.{'a.' * 5000}b=1", "found 5,002 keys, expected at most 20"),
    ],
)
def test_a_change_that_no_text_can_hold_is_refused_at_its_place(tmp_path, change, found):
    (write_pictures(tmp_path) / "m.yaml").write_text(MANIFEST)
    with pytest.raises(ManifestError) as caught:
        prepared(tmp_path, change)
    assert found in str(caught.value)
    assert str(caught.value).startswith("<command line>:1:")
