"""Baselines in a sweep: rows for each pair of content and style beside those of a method with a network, and rates."""

import pytest
from sweeps import TINY, plan, run, write_pictures

from nst.config.baseline import BaselineConfig
from nst.planning.rates import rate_of
from tasks.work.calibration import calibrate

KINDS = "kind: [content, style, colors, blur, noise]"


def test_a_sweep_has_its_baselines_for_each_pair(tmp_path):
    folder = write_pictures(tmp_path)
    text = f"""name: x
contents: [cat.png, dog.png]
styles: waves.png
methods: [{{name: gatys, {TINY}}}, {{name: baseline, size: 32}}]
sweep: {{{KINDS}, seed: [0, 1]}}
"""
    prepared = plan(folder, text)
    # Of the two seeds, noise alone has two pictures; the other kinds and `gatys` without noise have one.
    assert prepared.plan.cells.methods() == {"gatys": 2, "baseline": 2 * (5 + 1)}
    found = [row for row in run(prepared) if row["method"] == "baseline"]
    assert {row["style_name"] for row in found} == {"waves"}
    assert {row["kind"] for row in found} == {"content", "style", "colors", "blur", "noise"}
    for row in found:
        assert (row["steps_done"], row["weights_digest"], row["loss"], row["backbone"]) == (0, None, None, None)
        assert row["palette_distance_style"] is not None
        assert (row["psnr_content"] == 100.0) == (row["kind"] == "content")
    assert plan(folder, text).plan.to_do == 0


def test_its_speed_is_learned(tmp_path):
    assert rate_of(BaselineConfig()) == ("baseline", "", "")
    folder = write_pictures(tmp_path)
    text = "name: x\ncontents: cat.png\nstyles: waves.png\nmethod: {name: baseline, size: 32}\nsweep: {KINDS}\n"
    run(plan(folder, text.replace("KINDS", "kind: [blur, noise]")))
    more = plan(folder, text.replace("KINDS", KINDS)).plan
    assert (more.done, more.unknown) == (2, 0)
    assert more.seconds > 0


@pytest.mark.slow
def test_calibration_tries_it_without_steps(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (measured,) = calibrate([BaselineConfig()], "cpu").values()
    assert measured.seconds_per_cost > 0
