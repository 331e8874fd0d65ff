"""`--log-json`: one line of JSON on the standard output for each event of a run, and for each warning."""

from __future__ import annotations

import json
import logging
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst.errors import NstError, Stopped
from tasks.events import LOGGER, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.command.terminal import Terminal

LogJsonOption = Annotated[
    bool,
    typer.Option("--log-json", help="Print one line of JSON for each event: sweep, batch, participant, seconds, ..."),
]

_NEVER: Final = logging.CRITICAL + 1

_OURS: Final = logging.getLogger("nst")


class _Lines(logging.Handler):
    """Prints what is logged as lines of JSON, as long as somebody reads them: a run goes on without its log."""

    def __init__(self, out: Terminal) -> None:
        super().__init__()
        self._out = out
        self._host = socket.gethostname()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record: of an event its facts, else its message."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "event": record.getMessage(), "host": self._host, "pid": os.getpid()}
        if record.name == LOGGER.name:
            line |= getattr(record, "facts", {})
        else:
            line |= {"event": record.levelname.lower(), "message": record.getMessage(), "by": record.name}
        try:
            self._out.say(json.dumps(line, default=str))
        except (OSError, SystemExit):  # a disk that is full, or `| head`, for which rich would leave the process
            self.setLevel(_NEVER)


@contextmanager
def logged(out: Terminal, *, wanted: bool) -> Iterator[None]:
    """Print what happens inside this context as lines of JSON, if that is wanted."""
    if not wanted:
        yield
        return
    handler, level = _Lines(out), LOGGER.level
    _OURS.addHandler(handler)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # Prefect's handlers would print each event once more
    try:
        yield
    except (NstError, OSError) as error:
        if not isinstance(error, Stopped):  # its `sweep_ended` has said so
            event("failed", error=str(error))
        raise
    finally:
        LOGGER.propagate = True
        LOGGER.removeHandler(handler)
        _OURS.removeHandler(handler)
        LOGGER.setLevel(level)
