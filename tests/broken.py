"""Worker processes that break in a chosen way: main functions that stand in for `tasks.work.serve.serve`.

What breaks is said by the name of the device, which computes on the CPU all the same, and by files beside the root.

    bad...     fails its self-test at every start
    dies...    its process ends at every start, before it has said anything
    loses...   passes at its start; a batch breaks it for the rest of its process, as a GPU that loses its context
    loses_once...   as `loses`, in the first of its processes alone
    poisoned...   as `loses`, by batches whose content is higher than wide
    breaks...  as `loses`, in its first process, and fails its self-test at each later start
    hangs...   the first batch of its first process never moves, and the file `hung` says which process that is
    late...    starts when there is a file `go` beside the root
    any other  works
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tasks.work.halving
import tasks.work.self_test
import tasks.work.serve
import tasks.work.training
from tasks.work.serve import serve

if TYPE_CHECKING:
    from collections.abc import Callable

DEAD = 3
"""The exit code of a process that dies at its start."""


def serve_broken(connection: Any, root: Any, device: str, threads: int, beat_s: float) -> None:
    """Be a worker that breaks as the name of its device says."""
    tasks.work.serve.pin = lambda _: "cpu"
    if device.startswith("dies"):
        os._exit(DEAD)
    if device.startswith("breaks") and _is_first(root, device):
        _break_when_used(lambda _: True)
    elif device.startswith(("bad", "breaks")):
        tasks.work.self_test._test = _lost
    if device.startswith("loses") and (not device.startswith("loses_once") or _is_first(root, "lost")):
        _break_when_used(lambda _: True)
    if device.startswith("poisoned"):
        _break_when_used(lambda requests: requests[0].content.array.shape[0] > requests[0].content.array.shape[1])
    if device.startswith("hangs") and _is_first(root, "to hang"):
        tasks.work.halving.stylize_batch = lambda *_: _hang(_folder(root) / "hung")
    (serve_late if device.startswith("late") else serve)(connection, root, device, threads, beat_s)


def _hang(hung: Path) -> None:
    (aside := hung.with_suffix(".aside")).write_text(str(os.getpid()))
    aside.rename(hung)
    threading.Event().wait()


def serve_late(connection: Any, root: Any, device: str, threads: int, beat_s: float) -> None:
    """Be a worker whose start waits for the file `go` beside the root."""
    go, start = _folder(root) / "go", tasks.work.serve._start

    def late(*arguments: Any) -> Any:
        while not go.exists():
            threading.Event().wait(0.01)
        return start(*arguments)

    tasks.work.serve._start = late
    serve(connection, root, device, threads, beat_s)


def _break_when_used(by: Callable[[Any], bool]) -> None:
    stylize_batch = tasks.work.halving.stylize_batch

    def lose(*_: Any, **__: Any) -> Any:
        tasks.work.self_test._test = _lost
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    tasks.work.halving.stylize_batch = lambda requests, *rest: (lose if by(requests) else stylize_batch)(
        requests, *rest
    )
    tasks.work.training.Trainer = lose  # type: ignore[misc]


def _lost(_: str) -> str:
    raise RuntimeError("CUDA error: the context is lost\nCompile with TORCH_USE_CUDA_DSA")


def _is_first(root: Any, what: str) -> bool:
    """Return whether this process is the first that asks."""
    with contextlib.suppress(FileExistsError):
        (_folder(root) / what).touch(exist_ok=False)
        return True
    return False


def _folder(root: Any) -> Path:
    return Path(root.uri.removeprefix("file://")).parent
