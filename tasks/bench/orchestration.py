"""What everything around the computing costs: an effect that does nothing, and a real sweep of tiny cells."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.errors import Stopped
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.effect import effect

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

EFFECTS: Final = 2000
"""Effects that do nothing."""

CELLS: Final = 16
"""Cells of the sweep: two pictures of noise in eight weights of the style."""

_POLL_S: Final = 0.02

_MANIFEST: Final = """\
name: bench
contents: [first.png, second.png]
styles: style.png
method:
  name: gatys
  size: 32
  steps: 2
  style_layers: [relu1_1, relu2_1]
  content_layers: relu2_1
  backbone: {weights: draft}
sweep:
  style_weight: [1, 2, 3, 4, 5, 6, 7, 8]
"""


@effect()
def nothing(number: int) -> int:
    """Return the number: what is left is the engine's own cost."""
    return number


def seconds_of(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def write_sweep(folder: Path) -> None:
    """Write the manifest and its pictures of noise."""
    generator = np.random.default_rng(0)
    for name in ("first", "second", "style"):
        noise = generator.integers(0, 256, (24, 32, 3), np.uint8)
        (folder / f"{name}.png").write_bytes(encode(noise, OutputFormat(), {}))
    (folder / "bench.yaml").write_text(_MANIFEST, encoding="utf-8")


def sweep_twice(device: str, stopping: threading.Event) -> tuple[float, float] | str:
    """Return the seconds of the command `nst run --inline` for a tiny sweep, and once more; or why it failed.

    Args:
        device: As users name it.
        stopping: Ends it once it is set.

    Raises:
        Stopped: It was ended.
    """
    with tempfile.TemporaryDirectory(prefix="nst-bench-") as made:
        folder = Path(made)
        write_sweep(folder)
        command = [sys.executable, "-m", "flows", "run", "bench.yaml", "--inline", "--root", "out", "--devices", device]
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            with (
                (folder / "said.txt").open("wb") as said,
                subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, start_new_session=True) as running,  # noqa: S603
            ):
                while running.poll() is None:
                    if stopping.wait(_POLL_S):
                        running.terminate()
                        raise Stopped("the sweep was stopped")
            seconds.append(time.perf_counter() - started)
            if running.returncode:
                lines = (folder / "said.txt").read_text(encoding="utf-8", errors="replace").splitlines()
                return f"exit code {running.returncode}: {lines[-1] if lines else 'it said nothing'}"
    return seconds[0], seconds[1]
