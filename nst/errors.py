"""The error tree of nst. Imports nothing, so that every room may raise from it.

    NstError
    |-- UserError              edit something; exit code 2; never retried
    |   |-- ManifestError      the manifest: every problem at once, with file:line:column
    |   `-- InputError         an input the user named: an image, a weights file, a folder
    |-- NumericalError         a cell whose loss or picture went wrong; recorded, not retried
    |-- OutOfMemory            the device's memory is too small for the cell even alone
    `-- TransientError         may pass: retried under the policy of the task
        |-- StorageError       the object store gave up after its deadline
        `-- WorkerLost         the device worker died (killed, lost GPU)

The class *is* the retry policy: `TransientError` is retried, nothing else is.
"""

from __future__ import annotations

from dataclasses import dataclass


class NstError(Exception):
    """Base of all errors that nst raises on purpose.

    Args:
        message: One line: what was found and what was expected.
        hint: What the user may do about it, or "".
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `hint` when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[NstError], message: str, hint: str) -> NstError:
    return kind(message, hint=hint)


class UserError(NstError):
    """Something the user wrote or named must change."""


class InputError(UserError):
    """An input image, mask, weights file or folder cannot be used."""


class NumericalError(NstError):
    """A cell's loss became NaN, or its picture is constant or saturated."""


class OutOfMemory(NstError):
    """The device cannot hold this cell even alone."""


class TransientError(NstError):
    """May pass by itself."""


class StorageError(TransientError):
    """The object store did not answer well before the deadline."""


class WorkerLost(TransientError):
    """A device worker process died."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a manifest.

    Attributes:
        file: URI or path of the manifest, as the user named it.
        line: 1-based line, column: 1-based column, end_column: exclusive end of the fault on its line.
        message: What was found and what was expected.
        hint: E.g. "did you mean 'style_weight'?", or "".
        source: The text of that line, or "".
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source: str = ""
    end_column: int = 0

    def render(self) -> str:
        """Return `file:line:column: error: ...` with the source line and a caret run."""
        text = f"{self.file}:{self.line}:{self.column}: error: {self.message}"
        if self.hint:
            text += f"; {self.hint}"
        if self.source:
            gutter = f"{self.line} | "
            width = max(1, min(self.end_column or self.column + 1, len(self.source) + 1) - self.column)
            pad = " " * (len(gutter) - 2) + "| " + " " * (self.column - 1)
            text += f"\n{gutter}{self.source}\n{pad}{'^' * width}"
        return text


class ManifestError(UserError):
    """Every problem of one manifest, sorted by position."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column)))
        super().__init__("\n".join(p.render() for p in self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return (ManifestError, (self.problems,))
