"""What optical flow both ways, the weights that say where to trust it, and warping cost for each frame of a clip.

    python tests/benchmarks/bench_flow.py [--width 640] [--height 360] [--times 40] [--threads 1]

The frames are two consecutive ones of Big Buck Bunny (`../shared/data`, or `NST_TEST_DATA`), enlarged to the given
size, and memory is kept as a worker keeps it. Times are processor time: the median of several calls, and the shortest,
which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import cv2
import numpy as np
from PIL import Image

from nst.config.flow import DisPreset
from nst.motion.consistency import consistency
from nst.motion.fill import in_the_colors_of, laid_over
from nst.motion.flow import optical_flow
from nst.motion.measures import warping_error
from nst.motion.warp import warp
from tasks.work.workplace import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(os.environ.get("NST_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def frame(number: int, size: tuple[int, int]) -> np.ndarray:
    picture = Image.open(DATA / "video" / "bunny_seq" / f"{number:04d}.jpg").convert("RGB")
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def milliseconds(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the median and the shortest of several calls after a first one."""
    call()
    spent = []
    for _ in range(times):
        started = time.process_time()
        call()
        spent.append(1e3 * (time.process_time() - started))
    return sorted(spent)[times // 2], min(spent)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    cv2.setNumThreads(settings.threads)
    keep_freed_memory()
    before, now = (frame(number, (settings.width, settings.height)) for number in (95, 96))
    print(f"{settings.width} x {settings.height}, {settings.threads} thread(s), OpenCV {cv2.__version__}")
    rows: list[tuple[str, Callable[[], object]]] = []
    for preset in get_args(DisPreset):
        rows.append((f"{preset}, one way", lambda preset=preset: optical_flow(now, before, preset)))

        def both(preset=preset) -> np.ndarray:
            return consistency(optical_flow(now, before, preset), optical_flow(before, now, preset))

        rows.append((f"{preset}, both ways and weights", both))
    flow, back = optical_flow(now, before), optical_flow(before, now)
    weights = consistency(flow, back)

    def start() -> np.ndarray:
        warped = warp(before / np.float32(255.0), flow)
        return laid_over(in_the_colors_of(now, warped, weights), warped, weights)

    rows += [
        ("weights", lambda: consistency(flow, back)),
        ("start of the next frame", start),
        ("warping error", lambda: warping_error(now, before, flow, weights)),
    ]
    print(f"{'':34}{'median ms':>10}{'least ms':>10}")
    for name, call in rows:
        median, least = milliseconds(call, settings.times)
        print(f"{name:34}{median:10.1f}{least:10.1f}")


if __name__ == "__main__":
    main()
