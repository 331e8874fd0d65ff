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

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: int, total: int, text: str = "") -> None:
        """Show how many cells or models are done, and a short note."""
        if self._total is None:
            self._total = self._progress.add_task(self._noun, total=total, note=text)
        self._progress.update(self._total, completed=done, total=total, note=text)
        now = time.monotonic()
        if not self._live and (now - self._logged > _LOG_INTERVAL_S or done == total):
            self._logged = now
            self._console.print(f"{done}/{total} {self._noun} {text}".rstrip())

    def show_step(self, key: str, step: int, steps: int) -> None:
        """Show the step of a batch or a training; its bar disappears with the last step."""
        if not self._live:
            if time.monotonic() - self._logged > _LOG_INTERVAL_S:
                self._logged = time.monotonic()
                self._console.print(f"{key[:8]}: step {step}/{steps}")
            return
        if key not in self._parts:
            self._parts[key] = self._progress.add_task(key[:8], total=steps, note="steps")
        self._progress.update(self._parts[key], completed=step, total=steps)
        if step >= steps:
            self._progress.remove_task(self._parts.pop(key))
