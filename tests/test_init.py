"""`nst init`: the manifest that it writes is one that plans, and what cannot be written leaves no file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from flows.__main__ import app
from nst.pictures.images import encode
from nst.planning.rates import Calibration
from nst.records import OutputFormat
from tasks.devices import find_devices
from tasks.planning.calibration import keep_calibrations

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Two photographs and three paintings, in folders with odd names, and a cache of their own."""
    for name in ("my photos/a.png", "my photos/b.png", "paintings/x.png", "paintings/y.png", "paintings/z.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(RNG.integers(0, 256, (40, 48, 3), np.uint8), OutputFormat(), {}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def nst(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.slow
def test_a_manifest_for_the_pictures_at_hand_plans_with_an_estimate(tmp_path):
    said = nst("init", "my photos", "paintings", "new/first try.yaml", code=1)
    assert "new" in str(said.exception)
    (tmp_path / "new").mkdir()
    said = nst("init", "my photos", "paintings", "new/first try.yaml").output
    assert "2 photographs x 3 paintings x 2 weights = 12 pictures" in said
    plan = json.loads(nst("plan", "new/first try.yaml", "--json").stdout)
    assert plan["name"] == "first-try"
    assert plan["cells"] == 12
    assert plan["seconds"] > 0
    written = yaml.safe_load((tmp_path / "new/first try.yaml").read_text())
    assert written["contents"] == "../my photos/"
    assert written["method"]["backbone"] == {"weights": "embedded"}


@pytest.mark.parametrize(("minutes", "size", "steps"), [("0.1", 192, 40), ("2", 256, 120), ("5", 384, 150)])
def test_the_largest_size_that_fits_the_minutes_is_taken(tmp_path, minutes, size, steps):
    """At a known rate, 1e-6 s for a pixel and step, 12 pictures of 192, 256, 384, 512 px take 18, 88, 249, 590 s."""
    known = {("gatys", "vgg19 embedded", "float32"): Calibration(1e-6, 0.0, 0.0, 1e12)}
    keep_calibrations(find_devices()[0], known)
    said = nst("init", "my photos/*.png", tmp_path / "paintings", "m.yaml", "--minutes", minutes).output
    assert f"12 pictures of {size} px" in said
    assert "trying out" not in said
    written = yaml.safe_load((tmp_path / "m.yaml").read_text())
    assert (written["method"]["size"], written["method"]["steps"]) == (size, steps)
    assert written["styles"] == f"{tmp_path}/paintings/"
    cost = json.loads(nst("plan", "m.yaml", "--json").stdout)["seconds"]
    assert (cost <= 60 * float(minutes)) == ("more than" not in said)


@pytest.mark.parametrize("contents", ["nowhere", "nowhere/", "*.jpg"])
def test_without_pictures_nothing_is_written(tmp_path, contents):
    said = nst("init", contents, "paintings", code=1)
    assert contents.rstrip("/") in str(said.exception)
    assert not (tmp_path / "sweep.yaml").exists()


def test_a_file_that_exists_is_left_alone(tmp_path):
    (tmp_path / "sweep.yaml").write_text("mine")
    assert "exists already" in str(nst("init", "my photos", "paintings", code=1).exception)
    assert (tmp_path / "sweep.yaml").read_text() == "mine"
