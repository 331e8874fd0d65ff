"""What a name contains is shown in the terminal, and never obeyed."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest
from rich.table import Table
from warm import nst

from flows.command.progress import ProgressBar
from flows.command.terminal import Terminal, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x9b31m", r"\x9b31m"),
        ("bell\x07 back\x08 return\r", r"bell\x07 back\x08 return\x0d"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        ("two\nlines\tand [x] [bold]brackets[/] :smile: ünïcode 猫", None),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text, shown):
    assert printable(text) == (text if shown is None else shown)


def test_lines_tables_and_titles_show_brackets_and_escapes():
    table = Table("[x] header", title="[x] title \x1b[31m")
    table.add_row("[bold]row\x1b]0;owned\x07[/]")
    file = io.StringIO()
    terminal = Terminal(file=file, width=100)
    terminal.print(table)
    terminal.say("[x] line \x1b[2J")
    shown = file.getvalue()
    assert "\x1b" not in shown
    for text in ("[x] header", r"[x] title \x1b[31m", r"[bold]row\x1b]0;owned\x07[/]", r"[x] line \x1b[2J"):
        assert text in shown


def test_a_root_with_brackets_and_a_manifest_with_escapes(tmp_path):
    name = "bad\x1b[31m.yaml"
    (tmp_path / name).write_text("name: 3\n")

    (tmp_path / "[x]y").mkdir()
    assert f"{tmp_path}/[x]y" in nst("status", "--root", "[x]y", cwd=tmp_path).stdout
    refused = nst("plan", name, cwd=tmp_path)
    assert refused.returncode == 2
    assert r"bad\x1b[31m.yaml:1:7" in refused.stderr
    assert "\x1b" not in refused.stderr


@pytest.mark.parametrize("gone", [False, True])
def test_a_bar_in_a_terminal_that_is_gone_harms_nothing(monkeypatch, gone):
    """Rich writes past its own proxy of the standard error, and so past ours: a run that lost its terminal died."""
    terminal, mine = pty.openpty()
    with open(mine, "w") as shown, open(terminal, "rb", buffering=0) as end:  # noqa: PTH123  descriptors
        monkeypatch.setattr("sys.stderr", shown)
        with ProgressBar(Terminal(stderr=True, force_terminal=True)) as bar:
            bar.show(0, 3)
            if gone:
                end.close()
            bar.show_step("abc", 1, 9)
            print("a warning", file=sys.stderr)
            bar.show(1, 3)
        if gone:
            with pytest.raises(OSError, match="Input/output error"):
                os.write(mine, b"x")
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), mine)  # for what it could not write
        else:
            shown.flush()
            assert b"a warning\r\n" in end.read(10_000)
