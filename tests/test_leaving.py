"""What the system refuses is one line and exit code 2, whichever command meets it; a bug is a trace and 70."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.command.leaving import BUG, CHANGE_SOMETHING, leave_by
from flows.command.terminal import Terminal

HERE = Path(__file__).parent.parent


def nst(*arguments, cwd, **options):
    return subprocess.run(
        [sys.executable, "-m", "flows", *map(str, arguments)], cwd=cwd, text=True, stderr=subprocess.PIPE, check=False,
        env={**os.environ, "PYTHONPATH": str(HERE)}, **options,
    )  # fmt: skip


def test_an_output_that_is_full_is_said(tmp_path):
    (tmp_path / "out").mkdir()
    with Path("/dev/full").open("w") as full:
        ended = nst("status", "--root", tmp_path / "out", cwd=tmp_path, stdout=full)
    assert ended.returncode == CHANGE_SOMETHING
    assert ended.stderr == "error: the output: No space left on device\n"


def test_a_working_folder_that_is_gone_is_said(tmp_path):
    (tmp_path / "gone").mkdir()
    script = f"rmdir ../gone; exec {sys.executable} -m flows status"
    ended = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path / "gone", text=True, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    assert ended.returncode == CHANGE_SOMETHING
    assert ended.stderr == "error: the working folder: No such file or directory\n"


@pytest.mark.parametrize(("path", "reason"), [("file/samples", "Not a directory"), ("a" * 300, "File name too long")])
def test_a_folder_that_cannot_be_made_is_said(tmp_path, path, reason):
    (tmp_path / "file").touch()
    ended = nst("samples", path, cwd=tmp_path, stdout=subprocess.DEVNULL)
    assert ended.returncode == CHANGE_SOMETHING
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.endswith(f": {reason}\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), KeyError("x"), OSError("no number")])
def test_anything_else_is_a_bug_and_shows_its_trace(error, capsys):
    def command():
        raise error

    with pytest.raises(SystemExit) as left:
        leave_by(command, Terminal(stderr=True))
    assert left.value.code == BUG
    assert "Traceback" in capsys.readouterr().err
