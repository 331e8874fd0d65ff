"""What CI runs: the tests of `make test`, after it has seen to the browser that the tests of the page need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"


def said(folder, *commands, failing=()):
    """Run the script where these commands alone are there, and return what it and they say: each what it was asked."""
    for name in commands:
        (folder / name).write_text(f"#!/bin/sh\necho {name} $*\nexit {int(name in failing)}\n")
        (folder / name).chmod(0o755)
    for name in ("dirname", "timeout"):
        (folder / name).symlink_to(shutil.which(name))
    bash, environment = shutil.which("bash"), {**os.environ, "PATH": str(folder)}
    done = subprocess.run([bash, SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_browser_is_installed_where_there_is_none(tmp_path):
    update, install, test = said(tmp_path, "apt-get", "make")
    assert update.startswith("apt-get update")
    assert install.startswith("apt-get install")
    assert install.endswith(" chromium")
    assert test == "make test"


@pytest.mark.parametrize("browser", ["chromium", "google-chrome"])
def test_one_that_is_there_is_taken(tmp_path, browser):
    assert said(tmp_path, "apt-get", "make", browser) == ["make test"]


def test_where_none_can_be_had_the_other_tests_are_run(tmp_path):
    assert said(tmp_path, "make") == ["make test"]
    (tmp_path / "second").mkdir()
    *_, told, test = said(tmp_path / "second", "apt-get", "make", failing=["apt-get"])
    assert (told, test) == ("Chromium was not installed", "make test")
