"""What `nst runs` does: shows Prefect's pages of past runs until it is interrupted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tasks.prefect.past import past_runs

if TYPE_CHECKING:
    from flows.command.terminal import Terminal


def show_past_runs(number: int, out: Terminal) -> None:
    """Serve a database of past runs, and say where its pages are.

    Args:
        number: Number of the database.
        out: Where the address is printed.
    """
    out.say("starting Prefect")
    with past_runs(number) as past:
        out.say(f"page of past runs: {past.page}  password: {past.server.auth}")
        for other in past.others:
            out.say(f"kept apart, since they ran at the same time: nst runs --database {other}")
        out.say("Control-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            past.server.process.wait()
