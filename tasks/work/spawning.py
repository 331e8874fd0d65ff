"""Keeps spawned processes from running the program again that spawns them."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_one_at_a_time = threading.Lock()


@contextmanager
def without_main() -> Iterator[None]:
    """Spawn processes in this context that do not execute the file of the program once more.

    A spawned process executes the main file of its parent, so that functions defined there can be called in it. Ours
    call none of them; and a user's file that calls `nst.run` would call it again in each of them, unless its author
    knew about `if __name__ == "__main__"`.
    """
    with _one_at_a_time:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
