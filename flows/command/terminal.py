"""Everything that `nst` prints passes here: what a name contains is shown, and never obeyed.

A name comes from a manifest, a file system or somebody's bucket. In a terminal, an escape sequence in it could hide
lines or write others, a bidirectional override could turn it around, and a bracket would be markup to rich.
"""

from __future__ import annotations

import contextlib
import errno
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tab and newline, marks of direction, and bytes of a name that are not UTF-8."""


def printable(text: str) -> str:
    r"""Return the text with each character that a terminal would obey as an escape, for instance `\x1b`."""
    return _OBEYED.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name, as Python decodes it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class _Output:
    """`sys.stdout` or `sys.stderr`, whatever it is at the moment; what a terminal that is gone should show is lost."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def rich_proxied_file(self) -> _Output:
        """This itself: where rich puts a proxy before the file, so that prints do not tear a bar, it writes past it."""
        return self

    @property
    def _file(self) -> Any:
        file = getattr(sys, self._name)
        return getattr(file, "rich_proxied_file", file)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._file, attribute)

    def write(self, text: str) -> int:
        with _unless_gone():
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with _unless_gone():
            self._file.flush()


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


class Terminal(Console):
    """A console that prints texts as they are: no markup, no highlighting, no control characters."""

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        options.setdefault("file", _Output("stderr" if stderr else "stdout"))
        super().__init__(markup=False, highlight=False, emoji=False, stderr=stderr, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is shown; rich asks here for each text that is not styled, also inside of tables."""
        return super().render_str(printable(text), **options)

    def say(self, text: object) -> None:
        """Print one line, which the terminal may wrap."""
        self.print(str(text), soft_wrap=True)
