"""Keeps C libraries from writing to the terminal: libtiff alone prints hundreds of lines about one broken file."""

from __future__ import annotations

import os
import sys


def quiet_c_libraries() -> None:
    """Point file descriptor 2 to the null device, and Python's own `sys.stderr` to where it pointed before."""
    try:
        kept = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except OSError:  # no standard error at all
        return
    sys.stderr = kept
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
