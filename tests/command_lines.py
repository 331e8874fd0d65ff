"""Command lines of nst that documents show, given to the real parser; nothing is run."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import typer

from flows.__main__ import app

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDS = re.compile(r"^(?:&|&&|\||\|\||;|do|done|\d?>.*|<.*)$")
"""Words that end a command in a shell."""


def shown(text: str) -> list[list[str]]:
    """Return the words of each command of nst in a document's blocks of code, without what is for the shell."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = "\n".join(block for language, block in found if not language).replace("\\\n", " ")
    blocks = re.sub(r"(?:^|\s)#.*", "", blocks)
    lines = re.findall(r"(?:^|[\s'\"])nst +([a-z].*)$", blocks, re.MULTILINE)
    return [_command(line) for line in lines]


def _command(line: str) -> list[str]:
    line = line.split("'", maxsplit=1)[0] if line.count("'") % 2 else line  # the rest of what `ssh HOST '...'` quotes
    words = shlex.split(line)
    end = next((index for index, word in enumerate(words) if _ENDS.match(word)), len(words))
    return words[:end]


def parse(words: Sequence[str]) -> str:
    """Parse the arguments of nst, and return the name of the command.

    Raises:
        click.UsageError: There is no such command, option or value.
    """
    group = typer.main.get_command(app)
    with group.make_context("nst", list(words)) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None
        with command.make_context(name, rest, parent=context):
            return name
