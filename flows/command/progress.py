"""The progress bar of `nst run`: cells or models, batches and time left. Into a file it prints a line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_LOG_INTERVAL_S: Final = 15.0


class ProgressBar:
    """Shows how far a run is; a context manager. Its methods may be called from any thread.

    Args:
        console: Where the bar is drawn.
        noun: What is counted: cells or models.
    """

    def __init__(self, console: Console, noun: str = "cells") -> None:
        self._console = console
        self._noun = noun
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not self._live,
            transient=True,
        )
        self._total: TaskID | None = None
        self._parts: dict[str, TaskID] = {}
        self._logged = 0.0
        self._counts = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, noun: str) -> None:
        """Begin anew with something else that is counted."""
        self._noun = noun
        if self._total is not None:
            self._progress.remove_task(self._total)
            self._total, self._counts = None, ""

    def show(self, done: int, total: int, text: str = "") -> None:
        """Show how many cells or models are done, and a short note."""
        if self._total is None:
            self._total = self._progress.add_task(self._noun, total=total, note=text)
        self._progress.update(self._total, completed=done, total=total, note=text)
        self._counts = f"{done}/{total} {self._noun}{f', {text}' if text else ''}"
        if not self._live and (self._is_time() or done == total):
            self._console.print(self._counts)

    def show_step(self, key: str, step: int, steps: int) -> None:
        """Show the step of a batch or a training; its bar disappears with the last step."""
        if not self._live:
            if self._is_time():
                counts = f"{self._counts}; " if self._counts else ""
                self._console.print(f"{counts}{key[:8]}: step {step}/{steps}")
            return
        if key not in self._parts:
            self._parts[key] = self._progress.add_task(key[:8], total=steps, note="steps")
        self._progress.update(self._parts[key], completed=step, total=steps)
        if step >= steps:
            self._progress.remove_task(self._parts.pop(key))

    def _is_time(self) -> bool:
        """Return whether a line may be printed, and count from now to the next one."""
        now = time.monotonic()
        if now - self._logged <= _LOG_INTERVAL_S:
            return False
        self._logged = now
        return True
