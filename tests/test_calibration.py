"""Seconds and memory before the first run, by short trials on this machine that the user's cache remembers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from orders import planned

import nst
from flows.order.sweep import SweepOrder
from nst.config import METHOD_CONFIGS
from nst.config.feedforward import FeedforwardConfig
from nst.pictures.images import encode
from nst.planning.rates import Calibration, rate_of
from nst.records import OutputFormat
from tasks.planning.calibration import keep_calibrations, kept_calibrations
from tasks.work import calibration

MANIFEST = """\
name: x
contents: c.png
styles: c.png
methods:
  - {name: gatys, size: SIZE, steps: 100, backbone: {name: squeezenet, weights: random}, \
content_layers: fire2, style_layers: [relu1, fire3]}
  - {name: class_visualisation, size: 64, steps: 20, backbone: {weights: random}}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sweep(folder, size):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    (folder / "c.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (folder / "m.yaml").write_text(MANIFEST.replace("SIZE", str(size)))
    return planned(folder / "m.yaml", folder / "out")


@pytest.mark.slow
def test_a_plan_knows_seconds_and_memory_after_a_trial_and_warns_of_too_little_memory(tmp_path):
    before = sweep(tmp_path, 64)
    assert before.plan.seconds is None
    assert before.memory is None
    SweepOrder(before, ("cpu",)).calibrate()
    after = sweep(tmp_path, 64)
    assert after.plan.seconds > 0
    assert after.tried_out
    assert "by a trial of a few seconds" in nst.plan(tmp_path / "m.yaml", root=tmp_path / "out").table
    rates = {rate: 2 * seconds for rate, seconds in after.plan.history.items()}  # as the catalog would tell
    assert not dataclasses.replace(after, plan=dataclasses.replace(after.plan, history=rates)).tried_out
    assert after.plan.unknown == 0
    memory = after.memory
    assert 10e6 < memory.needed < memory.there_is
    assert after.to_json()["batch_memory_bytes"] == memory.needed
    huge = sweep(tmp_path, 10_000).memory.needed
    # L-BFGS remembers 50 pairs of pictures: the trial has four of them, the others are added by arithmetic.
    assert huge > 10_000**2 * 0.75 * 2 * 12 * 46
    assert "gatys" in {method for method, _, _ in kept_calibrations("cpu")}
    assert kept_calibrations() == kept_calibrations("cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", sorted(METHOD_CONFIGS.keys() - {"feedforward", "gatys", "class_visualisation", "baseline"})
)
def test_every_method_can_be_tried_out(method, monkeypatch):
    """In this process, with small pictures."""
    monkeypatch.setattr(calibration, "_SIDES", (64, 96))
    monkeypatch.setattr(calibration, "usable_cores", torch.get_num_threads)  # other tests compute with as many
    settings = {"name": method, "size": 512, "backbone": {"weights": "draft"}}
    measured = calibration._measure(METHOD_CONFIGS[method].model_validate(settings), "cpu")
    assert measured.seconds_per_cost > 0


@pytest.mark.slow
def test_distilled_weights_are_tried_out_as_they_are():
    config = METHOD_CONFIGS["gatys"].model_validate({"backbone": {"weights": "draft"}})
    found = calibration.calibrate([config, config], "cpu")
    assert found.keys() == {("gatys", "vgg19 draft", "float32")} == {rate_of(config)}
    assert kept_calibrations("cpu") == found


def test_networks_that_may_not_exist_are_not_tried_out():
    assert calibration.calibrate([FeedforwardConfig(model="some")], "cpu") == {}


def test_trials_of_devices_are_kept_apart_and_a_damaged_memory_is_empty(tmp_path):
    gatys, mrf = ("gatys", "vgg19", "float32"), ("mrf", "vgg19", "float32")
    one, two = Calibration(1.0, 2.0, 3.0, 4.0), Calibration(5.0, 6.0, 7.0, 8.0)
    keep_calibrations("cuda:0", {gatys: one})
    keep_calibrations("cpu", {gatys: two})
    keep_calibrations("cuda:0", {mrf: two})
    assert kept_calibrations() == {gatys: one, mrf: two}
    assert kept_calibrations("cpu") == {gatys: two}
    (file,) = (tmp_path / "cache/nst").iterdir()
    for damage in ("", "{", "[]", json.dumps({"cpu": {"x": 1}}), json.dumps({"cpu": 3})):
        file.write_text(damage)
        assert kept_calibrations("cpu") == {}
    keep_calibrations("cpu", {gatys: one})
    assert kept_calibrations("cpu") == {gatys: one}
