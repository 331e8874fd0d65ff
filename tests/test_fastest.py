"""`precision: auto`: resolved as a manifest is read, so that plans, ids and rows know what it is."""

import os
import stat

import numpy as np
import pytest
import torch
from PIL import Image

from nst.errors import ManifestError
from nst.manifest.declaration import read_declaration
from nst.manifest.sweep import check_manifest
from tasks import devices
from tasks.devices import fastest_precision
from tasks.inputs.manifest_source import declared_manifest
from tasks.planning.sweep import prepare_sweep
from tasks.root import open_root

HEAD = "name: x\ncontents: a.jpg\nstyles: b.jpg\n"


def precisions(text, overrides=(), fastest=lambda: "bfloat16"):
    manifest = check_manifest(read_declaration(HEAD + text, "x.yaml", overrides=overrides, fastest=fastest))
    return [manifest.variants.config(number).precision for number in range(len(manifest.variants))]


@pytest.mark.parametrize(
    ("text", "overrides", "found"),
    [
        ("method: {name: gatys, precision: auto}", (), ["bfloat16"]),
        ("method: gatys\nsweep: {precision: [float64, auto]}", (), ["float64", "bfloat16"]),
        ("method: gatys", ("method.precision=auto",), ["bfloat16"]),
        ("method: gatys", ("sweep.precision=[float32, auto]",), ["float32", "bfloat16"]),
        ("methods: [{name: gatys, precision: auto}, {name: mrf, precision: float32}]", (), ["bfloat16", "float32"]),
    ],
)
def test_auto_is_the_fastest_wherever_it_is_written(text, overrides, found):
    assert precisions(text, overrides) == found


def test_nobody_looks_for_the_fastest_where_nothing_says_auto():
    assert precisions("method: {name: gatys, init: content}", fastest=pytest.fail) == ["float32"]


def test_where_nothing_can_be_resolved_auto_is_refused():
    """A stored plan that says it was edited: every participant would take it for something else."""
    with pytest.raises(ManifestError, match="auto"):
        precisions("method: {name: gatys, precision: auto}", fastest=None)


def test_the_plan_says_what_it_is_and_its_cells_are_those_of_that_precision(tmp_path, monkeypatch):
    content, style = tmp_path / "a.png", tmp_path / "b.png"
    for seed, file in enumerate((content, style)):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), np.uint8)
        Image.fromarray(pixels).save(file)
    monkeypatch.setattr("tasks.inputs.manifest_source.fastest_precision", lambda: "bfloat16")

    def plan(precision):
        method = {"name": "gatys", "size": 32, "backbone": {"weights": "embedded"}, "precision": precision}
        written = {"name": "x", "contents": content, "styles": style, "method": method}
        return prepare_sweep(declared_manifest(written), open_root(str(tmp_path / "root")))

    automatic, named = plan("auto"), plan("bfloat16")
    assert automatic.ids == named.ids != plan("float32").ids
    assert "precision: auto is bfloat16 on this machine, and for all who take part" in automatic.notes
    assert not named.notes
    assert "bfloat16" in automatic.resolved.text
    assert "auto" not in automatic.resolved.text
    assert "auto" in automatic.source.written


def test_a_processor_has_bfloat16_where_torch_says_so(monkeypatch):
    monkeypatch.setattr(devices, "find_devices", lambda: ["cpu"])
    has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert fastest_precision() == ("bfloat16" if has else "float32")


@pytest.mark.parametrize(
    ("told", "found"),
    [("9.0\\n9.0", "bfloat16"), ("8.6\\n7.5", "float32"), ("", "float32"), ("[N/A]\\n9.0", "float32")],
)
def test_of_several_gpus_the_least_able_one_counts(told, found, tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\ncase "$*" in *compute_cap*) printf "{told}";; *) echo "GPU 0: x";; esac\n')
    tool.chmod(tool.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert fastest_precision() == found


def test_a_gpu_without_its_drivers_tool_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert fastest_precision() == "float32"
