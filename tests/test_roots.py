"""The root of a command: one that is mistyped, no folder, or not there is one clear line, and makes no folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from sweeps import TINY_MANIFEST, write_pictures
from typer.testing import CliRunner
from yaml import safe_dump

from flows.__main__ import app
from nst.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

READING = {
    "cancel": ["tiny"], "compare": ["tiny", "other"], "export": ["tiny", "there"], "fsck": [], "gallery": [],
    "judge": ["tiny"], "models": [], "repair": ["--yes"], "rm": ["tiny", "--yes"], "status": [],
}  # fmt: skip
"""The commands that need a root that is there, each with its arguments."""

OTHERS = {
    "import": ["style.pth"], "inbox": [], "init": ["cat.png", "waves.png"], "plan": ["m.yaml"],
    "run": ["m.yaml", "--inline"], "show": ["0123abcd"],
    "stylize": ["cat.png", "--model", "x"], "submit": ["m.yaml"], "up": [], "work": [],
}  # fmt: skip
"""The others that have a root, which some make and some need not have, but for `doctor`, which examines it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_pictures(tmp_path)
    (tmp_path / "m.yaml").write_text(safe_dump(TINY_MANIFEST))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(command: str, root: str) -> str:
    """Return what a command is refused with."""
    result = CliRunner().invoke(app, [command, *{**READING, **OTHERS}[command], "--root", root])
    assert isinstance(result.exception, UserError), (result.exception, result.output)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_every_command_with_a_root_is_tried_here() -> None:
    group = typer.main.get_command(app)
    commands = group.commands.items()  # type: ignore[attr-defined]
    with_root = {name for name, command in commands if any("--root" in each.opts for each in command.params)}
    assert with_root == {*READING, *OTHERS, "doctor"}


@pytest.mark.parametrize("root", ["s3//lab", "s3:/lab", "s4:/lab"])
@pytest.mark.parametrize("command", [*READING, *OTHERS])
def test_a_mistyped_root_is_no_folder(folder: Path, command: str, root: str) -> None:
    before = sorted(folder.rglob("*"))
    assert "s3://" in refused(command, root)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", READING)
def test_a_root_that_is_not_there_is_told(folder: Path, command: str) -> None:
    assert f"there is no root {folder}/no/such/root" in refused(command, "no/such/root")
    assert not (folder / "no").exists()


@pytest.mark.parametrize("command", sorted({*READING, *OTHERS} - {"up"}))
def test_a_root_that_is_a_file_is_told(folder: Path, command: str) -> None:
    assert f"the root {folder}/m.yaml is no folder" in refused(command, "m.yaml")
    (folder / "away").symlink_to("/no/such/disk")
    assert f"the root {folder}/away is a link to nothing" in refused(command, "away")
