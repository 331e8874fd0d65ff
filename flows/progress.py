"""Where a program that calls nst sees how far a run is: below the cell of a notebook, or on the standard error."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from html import escape
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_EVERY_S: Final = 0.5
"""A notebook is told this often at most: each message is kept until its page draws it."""


class Progress(Protocol):
    """Shows how far a run is. Its methods may be called from any thread."""

    def show(self, done: int, total: int, text: str = "") -> None:
        """Show how many cells or models are done, and a short note."""

    def show_step(self, key: str, step: int, steps: int) -> None:
        """Show the step of a batch or a training."""


def progress_of(noun: str, *, shown: bool = True) -> AbstractContextManager[Progress]:
    """Return what shows the progress of a run to whoever started it.

    Args:
        noun: What is counted: cells or models.
        shown: False shows nothing.
    """
    if not shown:
        return nullcontext(_Silent())
    if _in_notebook():
        return NotebookBar(noun)
    from flows.command.progress import ProgressBar
    from flows.command.terminal import Terminal

    return ProgressBar(Terminal(stderr=True), noun)


def _in_notebook() -> bool:
    """Return whether IPython runs this program for a notebook, and not for a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


class _Silent:
    def show(self, done: int, total: int, text: str = "") -> None:
        """Show nothing."""

    def show_step(self, key: str, step: int, steps: int) -> None:
        """Show nothing."""


class NotebookBar:
    """A bar below the cell of a notebook; a context manager. The last state stays there.

    Args:
        noun: What is counted: cells or models.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._line = ""
        self._steps: dict[str, tuple[int, int]] = {}
        self._done, self._total = 0, 0
        self._handle: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.clear()
        if self._handle is not None:
            self._draw()

    def show(self, done: int, total: int, text: str = "") -> None:
        """Show how many cells or models are done, and a short note."""
        self._done, self._total, self._line = done, total, text
        self._draw_sometimes()

    def show_step(self, key: str, step: int, steps: int) -> None:
        """Show the step of a batch or a training; it disappears with the last step."""
        self._steps[key] = (step, steps)
        if step >= steps:
            del self._steps[key]
        self._draw_sometimes()

    def _draw_sometimes(self) -> None:
        if time.monotonic() - self._drawn >= _EVERY_S:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML, display  # type: ignore[import-not-found]  # there, or we are not called

        self._drawn = time.monotonic()
        page = HTML(self._html())
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def _html(self) -> str:
        steps = [f"{key[:8]}: step {step:,} of {steps:,}" for key, (step, steps) in list(self._steps.items())]
        text = ", ".join(filter(None, [f"{self._done:,} of {self._total:,} {self._noun}", self._line, *steps]))
        return f'<progress value="{self._done}" max="{max(1, self._total)}"></progress> {escape(text)}'
