"""Kills a process, and every process of its group, at an event: just before its Nth file of a kind gets its name.

A moment that is an event comes on every machine, however fast or slow. The event is Python's own audit event of
`os.link` and `os.rename`, by which a local store makes a finished file visible, so nst knows nothing of it.

A process that is forked from this one is held to the same event, and counts for itself.
"""

from __future__ import annotations

import os
import re
import signal
import sys


def kill_before(pattern: str, count: int, *, group: bool = True) -> None:
    """Kill this process at once with SIGKILL before the `count`th file whose path has `pattern` gets its name."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in {"os.link", "os.rename"} and re.search(pattern, os.fsdecode(arguments[1])):  # type: ignore[arg-type]
            seen += 1
            if seen == count:
                if group:
                    os.killpg(0, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
