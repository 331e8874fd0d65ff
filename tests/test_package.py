"""The wheel works outside the checkout, with the files that it needs and nothing else of the repository."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
MANIFEST = """
name: tiny
contents: contents/chelsea.jpg
styles: styles/swirls.png
method: {name: gatys, size: 24, steps: 1, backbone: {weights: random}, content_layers: conv1_1, style_layers: conv1_1}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what the wheel holds, as pip would lay it into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def nst(site, folder, *arguments):
    command = [sys.executable, "-P", "-m", "flows", *arguments]
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_the_packages_and_what_they_read(site):
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"flows", "tasks", "nst"}
    checkout = {path.name for path in (ROOT / "manifests").glob("*.yaml")}
    assert {path.name for path in (site / "tasks/manifests").glob("*.yaml")} == checkout
    assert {path.name for path in site.glob("*.dist-info/licenses/*")} == {"LICENSE", "NOTICE"}
    card = (site / "nst/backbones/CARD.md").read_text()
    for weights in (site / "nst/backbones").glob("*.safetensors"):
        assert hashlib.sha256(weights.read_bytes()).hexdigest() in card
    read = ("nst/py.typed", "flows/py.typed", "tasks/pages/comparison/page.html", "tasks/pages/gallery/page.css")
    assert all((site / name).is_file() for name in read)
    assert (site / "flows/deploy.yaml").read_bytes() == (ROOT / "deploy.yaml").read_bytes()


def test_samples_a_run_and_its_page_work_from_the_wheel(site, tmp_path):
    done = nst(site, tmp_path, "samples", "samples")
    assert done.returncode == 0, done.stderr
    assert nst(site, tmp_path, "plan", "samples/quickstart.yaml").returncode == 0
    (tmp_path / "samples/tiny.yaml").write_text(MANIFEST)
    done = nst(site, tmp_path, "run", "samples/tiny.yaml", "--inline", "--devices", "cpu")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_parquet(tmp_path / "out/catalog/results")) == 1
    (page,) = (tmp_path / "out/gallery").glob("*/index.html")
    assert "<script" in page.read_text()


def test_the_command_says_its_version_and_its_help(site, tmp_path):
    assert nst(site, tmp_path, "--version").stdout == "nst 0.1.0\n"
    assert nst(site, tmp_path, "-h").stdout == nst(site, tmp_path, "--help").stdout != ""


@pytest.mark.parametrize("name", ["tasks", "nst"])
def test_another_package_of_the_same_name_is_told_in_one_line(site, tmp_path, name):
    """Both names are common: a module in a folder of PYTHONPATH must not show as an ImportError from inside."""
    (tmp_path / f"{name}.py").write_text("")
    command = [sys.executable, "-P", "-m", "flows", "plan", "x.yaml"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{site}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Python finds another package named {name!r} ({tmp_path / name}.py)")
    assert done.stderr.count("\n") == 1


def test_the_lock_and_the_constraints_name_the_same_versions_and_no_address():
    lock, constraints = ((ROOT / name).read_text() for name in ("requirements.lock", "constraints.txt"))
    pins = [line.removesuffix("\\").strip() for line in lock.splitlines() if not line.startswith(" ")]
    assert pins == constraints.splitlines()
    assert all("==" in pin for pin in pins)
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock + constraints


def test_the_lock_holds_what_the_package_and_its_build_need():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    wanted += [name for names in project["project"]["optional-dependencies"].values() for name in names]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        pins[canonicalize_name(requirement.name)] = next(iter(requirement.specifier)).version
    for requirement in map(Requirement, wanted):
        if requirement.name != project["project"]["name"]:
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
