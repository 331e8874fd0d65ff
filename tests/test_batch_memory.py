"""The memory of a step by arithmetic, beside what torch allocates; and how a plan says that a batch will pass."""

from __future__ import annotations

import math
from io import StringIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orders import planned
from safetensors.torch import load_file
from test_objective import most_in_use

import nst
from flows.command.terminal import Terminal
from flows.order.tables import sweep_table
from nst.backbones import build_backbone
from nst.config import METHOD_CONFIGS
from nst.config.backbone import BackboneConfig
from nst.config.convolutions import check_shapes
from nst.config.memory import GATHERING, SIDES, passage, step_bytes, tile_within
from nst.losses.tiled import Tiled, plan_tiles
from nst.methods import stylize_batch
from nst.pictures.images import Pixels, encode
from nst.records import OutputFormat
from nst.workspace import Request, Workspace
from tasks.inputs.weights import packaged_uri
from tasks.planning import memory as planning

ALL = {"content_layers": ["relu4_1"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]}
WIDTH, HEIGHT = 192, 144


def packaged(config):
    return load_file(packaged_uri(config).removeprefix("file://"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("embedded", ALL),
        ("draft", ALL),
        ("draft", ALL | {"precision": "bfloat16"}),
        ("draft", ALL | {"style_representation": "sliced"}),
        ("draft", ALL | {"style_representation": "histogram"}),
        ("draft", ALL | {"optimizer": {"name": "adam"}}),
        ("embedded", {"content_layers": ["relu3_1"], "style_layers": ["relu1_1", "relu2_1", "relu3_1"]}),
        ("draft", {"content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}),
    ],
)
def test_a_step_takes_what_is_said_within_15_percent(name, changes):
    config = METHOD_CONFIGS["gatys"].model_validate({
        "size": WIDTH, "steps": 3, "pyramid": {"levels": 1}, "trace_every": 0, "backbone": {"weights": name}, **changes,
    })  # fmt: skip
    noise = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), np.uint8)
    content, style = (Pixels(str(number), array) for number, array in enumerate(noise))
    request = Request("one", content, (style,), (1.0,), "targets", config)
    workspace = Workspace("cpu", packaged)
    stylize_batch([request], workspace)  # what is kept from batch to batch is there
    most = most_in_use(lambda: stylize_batch([request], workspace)) / (WIDTH * HEIGHT)

    layers = {*config.content_layers, *config.style_layers}
    shapes = {key: tuple(tensor.shape) for key, tensor in packaged(config.backbone).items()}
    said = step_bytes(
        "vgg19",
        check_shapes("vgg19", layers, shapes),
        layers,
        precision=config.precision,
        gathers=config.style_representation in GATHERING,
    )
    pairs = 2 if config.optimizer.name == "lbfgs" else 0
    assert most == pytest.approx(said + 24 * pairs, rel=0.15)


@given(st.integers(256, 5000), st.integers(256, 5000), st.floats(1e7, 1e11))
def test_a_plan_and_a_worker_cut_the_same_tiles(width, height, room):
    backbone = build_backbone(BackboneConfig(weights="draft"), ["relu4_1"], packaged(BackboneConfig(weights="draft")))
    tiled = Tiled(backbone, "float32", SIDES[0], room)
    passes = passage(1, width * height, backbone.bytes_per_pixel(), 0.0, room)
    assert (tiled.side_for((1, 3, height, width)) or passes.tile) == passes.tile
    assert passes.tile is None or len(plan_tiles(height, width, passes.tile, backbone)) > 1 or passes.tile > width


@given(st.integers(1, 64), st.floats(1e3, 1e9), st.floats(1.0, 1e12))
def test_a_batch_is_halved_until_it_fits_and_then_cut(pictures, pixels, room):
    passes = passage(pictures, pixels, 800.0, 200.0, room)
    whole = 1000.0 * pixels * passes.together
    assert passes.fits == (passes.bytes <= room)
    if passes.tile is None:
        assert whole <= room
        assert passes.together == pictures or 2 * passes.together * 1000.0 * pixels > room
    else:
        assert passes.together == 1
        assert whole > room
        assert passes.tile == tile_within(room - 200.0 * pixels, 800.0, SIDES)


MANIFEST = """\
name: x
contents: c.png
styles: c.png
method: {name: gatys, size: 2000, steps: 100, backbone: {weights: embedded}}
sweep: {style_weight: [1, 2, 3, 4]}
batch_size: 4
"""


@pytest.mark.parametrize(
    ("gigabytes", "told", "passes"),
    [
        (1000, "free │", (None, None)),
        (25, "free: 2 at a time", (2, None)),
        (11, "free: one by one", (1, None)),
        (7, "free: in tiles of 1024 px", (1, 1024)),
        (1.4, "more than there is", (1, 256)),
    ],
)
def test_a_plan_says_what_a_batch_takes_and_how_it_passes(gigabytes, told, passes, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    (tmp_path / "c.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.setattr(planning, "available_memory", lambda: gigabytes * 1e9)
    monkeypatch.setattr(planning, "find_devices", lambda: ["cpu"])
    shown = nst.plan(tmp_path / "m.yaml", root=tmp_path / "out").table
    assert told in " ".join(shown.split())
    figures = planned(tmp_path / "m.yaml", tmp_path / "out").to_json()
    assert (figures["pictures_at_one_time"], figures["tile_side"]) == passes
    assert figures["device_memory_bytes"] == gigabytes * 1e9
    assert math.isclose(figures["batch_memory_bytes"], 4 * 2000 * 1500 * 2300, rel_tol=0.1)


def test_the_command_shows_no_marks_where_there_is_too_little_memory(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    (tmp_path / "c.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.setattr(planning, "available_memory", lambda: 1e9)
    monkeypatch.setattr(planning, "find_devices", lambda: ["cpu"])
    shown = StringIO()
    Terminal(file=shown, width=120).print(sweep_table(planned(tmp_path / "m.yaml", tmp_path / "out")))
    (row,) = (line for line in shown.getvalue().splitlines() if "for a batch" in line)
    assert "more than there is" in row
    assert "[" not in row


def test_what_cannot_pass_in_tiles_is_not_said_to(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    (tmp_path / "c.png").write_bytes(encode(pixels, OutputFormat(), {}))
    method = "{name: mdan, size: 2000, content_layers: relu4_1, backbone: {weights: embedded}}"
    (tmp_path / "m.yaml").write_text(MANIFEST.replace(MANIFEST.splitlines()[3], f"method: {method}"))
    monkeypatch.setattr(planning, "available_memory", lambda: 2e9)
    monkeypatch.setattr(planning, "find_devices", lambda: ["cpu"])
    figures = planned(tmp_path / "m.yaml", tmp_path / "out").to_json()
    assert (figures["pictures_at_one_time"], figures["tile_side"]) == (1, None)
    assert "more than there is" in " ".join(nst.plan(tmp_path / "m.yaml", root=tmp_path / "out").table.split())


def test_of_a_gpu_a_plan_says_what_a_batch_takes(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    (tmp_path / "c.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.setattr(planning, "find_devices", lambda: ["cuda:0"])
    figures = planned(tmp_path / "m.yaml", tmp_path / "out").to_json()
    assert figures["batch_memory_bytes"] > 1e9
    assert figures["device_memory_bytes"] is figures["pictures_at_one_time"] is None
    assert "for a batch" in nst.plan(tmp_path / "m.yaml", root=tmp_path / "out").table
