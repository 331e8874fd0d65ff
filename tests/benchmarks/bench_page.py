"""The comparison page with many cells: seconds to write it, its bytes, seconds to its first view, and its memory.

    python tests/benchmarks/bench_page.py [100 1000 10000 100000]

The rows are synthetic: ten contents, ten styles and as many weights and seeds as are needed, with the columns of a row
of `results`; all cells share one picture. The page is opened from a folder in headless Chromium, which starts anew for
each. The first view is there when the first pictures have been drawn. Memory is that of the JavaScript and DOM of the
renderer after a collection, and the resident memory of its process. On a busy machine the processor time says more than
seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import chromium, opened

from nst.config import METHOD_CONFIGS
from nst.pictures.images import thumbnail
from tasks.catalog import parameters
from tasks.catalog.schema import metrics
from tasks.pages.gallery import build_gallery
from tasks.pages.gallery.columns import update_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def rows_of(count: int, root: Path) -> list[dict[str, object]]:
    """Return rows as the catalog has them, all with the picture of the root."""
    numbers = np.random.default_rng(0).random((count, 30))
    names = [column.name for column in metrics()]
    made = []
    settings = [parameters.flatten(METHOD_CONFIGS["gatys"](style_weight=10 ** (w / 4))) for w in range(10)]
    for n in range(count):
        row = {
            **settings[n // 100 % 10],
            "seed": n // 1000,
            "cell_id": hashlib.sha256(str(n).encode()).hexdigest(),
            "content_name": f"content {n % 10}",
            "style_name": f"style {n // 10 % 10}",
            "content_uri": f"s3://in/{n % 10}.jpg",
            "style_uris": f'["s3://in/{n // 10 % 10}.jpg"]',
            "style_weights": "[1.0]",
            "picture_uri": f"file://{root}/pictures/one.webp?{n}",
            "thumbnail_uri": f"file://{root}/pictures/one.webp?{n}",
            "picture_width": 512,
            "picture_height": 384,
            "seconds": float(numbers[n, 0]),
            "style_loss": float(numbers[n, 1]),
            "content_loss": float(numbers[n, 2]),
        }
        made.append(row | {name: float(numbers[n, 3 + k]) for k, name in enumerate(names)})
    return made


def processes() -> Iterator[Path]:
    """Yield the folders below /proc of the processes of the browser."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if chromium().folder in (folder / "cmdline").read_text(encoding="utf-8", errors="replace"):
                yield folder


def resident_mb(process: Path) -> float:
    """Return the resident memory of a renderer in MB, 0 for other processes."""
    if "--type=renderer" not in (process / "cmdline").read_text(encoding="utf-8", errors="replace"):
        return 0.0
    return int((process / "status").read_text(encoding="utf-8").split("VmRSS:")[1].split()[0]) / 1000


def cpu_s() -> float:
    """Return the processor time that a browser has used, in seconds."""
    ticks = 0
    for process in processes():
        fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(count: int) -> None:
    """Print one line of the table."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        for folder in ("pictures", "gallery"):
            (root / folder).mkdir()
        picture = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
        (root / "pictures" / "one.webp").write_bytes(thumbnail(picture))
        rows, page = rows_of(count, root), root / "gallery" / "index.html"
        began = time.process_time()
        text = build_gallery(rows, title="many", page_uri=str(page)).replace("one.webp%3F", "one.webp?")
        written = time.process_time() - began
        page.write_text(text, encoding="utf-8")
        line = len(str(update_of(rows[0], str(page))))
        del rows
        with opened(page, root / "profile") as tab:
            tab.call("Page.navigate", url="about:blank")
            tab.call("Performance.enable")
            began, before = time.perf_counter(), cpu_s()
            tab.call("Page.navigate", url=page.as_uri())
            tab.until("document.querySelector('.cell img')?.naturalWidth > 0")
            tab.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
            seen, worked = time.perf_counter() - began, cpu_s() - before
            nodes = tab.js("document.querySelectorAll('.cell').length")
            began = time.perf_counter()
            tab.type("#q", "weight=10")
            tab.js("document.querySelector('#q').offsetHeight")
            filtered = time.perf_counter() - began
            tab.call("HeapProfiler.collectGarbage")
            found = {m["name"]: m["value"] for m in tab.call("Performance.getMetrics")["metrics"]}
            heap = found["JSHeapUsedSize"] / 1e6
            resident = max(resident_mb(process) for process in processes())
        chromium().end()  # nothing of this page is counted for the next one
        size = len(text.encode()) / 1e6
        print(
            f"| {count:,} | {written:.2f} | {size:.1f} | {seen:.2f} | {worked:.2f} | {nodes} | {filtered:.2f} "
            f"| {heap:.0f} | {resident:.0f} | {count * line / 1e6:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    heads = ("cells", "CPU s to write", "MB of the page", "s to the first view", "CPU s of it", "cells drawn")
    heads += ("s to filter by text", "MB of JS", "MB resident", "MB of news at the end")
    print("|", " | ".join(heads), "|")
    print("|---" * len(heads) + "|")
    for wanted in [int(word) for word in sys.argv[1:]] or [100, 1_000, 10_000, 100_000]:
        measure(wanted)
