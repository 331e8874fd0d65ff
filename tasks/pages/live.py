"""The page of a sweep while it runs: written once with every cell, then followed by one small file that it reads again.

The problem: a sweep of ten thousand cells takes days, and its page takes seconds to write. Whoever looks wants to see
each picture when it is made, and what is being made now.

The rule: the process that runs the sweep is told of each batch as soon as it is committed, with its rows, and keeps one
line of JSON for each cell; nothing is read from the store again. A thread joins the lines to `live.js` beside the page
as often as that costs one part in fifty of its time, at most every two seconds. The page loads this file as a script,
which a browser allows for a page that was opened from a folder, too.

Where several runs share the sweep, the first writes the page, and each writes `live.js` with what it does itself: the
page adds up what it reads.

The page is a convenience: whatever goes wrong with it is said once, and never harms the sweep.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

from tasks.layout import PREVIEWS, page_folder
from tasks.pages.contact_sheet import SheetCell, contact_sheet
from tasks.pages.gallery import build_gallery, update_of
from tasks.pages.news import NEWS, head_of, news
from tasks.pages.report import GALLERY_CELLS, heads_of_plan, moments
from tasks.pages.rows import planned_rows, varying
from tasks.pages.sheet import SHEET_CELLS, sheet_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.jobs import BatchOutcome, Job
    from tasks.pages.heads import Heads
    from tasks.planning.sweep import PreparedSweep

LOGGER: Final = logging.getLogger("nst.pages")

_EVERY_S: Final = 2.0
_SHARE: Final = 0.02
"""Of its thread's time, what refreshing the page may take."""

_RARELY_S: Final = 30.0
"""The most seconds between two refreshes, whatever they cost."""

_SHEET_EVERY_S: Final = 20.0
_LEAVE_S: Final = 5.0
"""Seconds that a run waits at its end for a refresh that is under way."""

JOINING: Final = 10
"""How often a run looks for the page that another one is about to write."""


class LivePage:
    """Writes the page of a sweep that runs; a context manager. Its methods are quick and may be called by any thread.

    Args:
        prepared: The plan.
        every: Least seconds between two refreshes.
        joins: How often to look for the page of another run of the sweep, to go on with it, before one is written.
    """

    def __init__(self, prepared: PreparedSweep, every: float = _EVERY_S, *, joins: int = 0) -> None:
        self._prepared = prepared
        self._every = every
        self._run_id = uuid.uuid4().hex
        self._joins = joins
        self._folder = page_folder(prepared.plan.name, prepared.plan.sweep_id)
        self._uri = prepared.root.store.url(f"{self._folder}/index.html")
        self._lock = threading.Lock()
        self._cells_of: dict[str, tuple[str, ...]] = {}  # batches that were handed out and have not ended
        self._running: dict[str, tuple[int, int]] = {}
        self._previews: dict[str, list[int]] = {}  # steps by the id of a cell that is being made
        self._lines: dict[str, str] = {}
        self._fresh: list[Mapping[str, Any]] = []
        self._sheet: _Sheet | None = None
        self._leaving = threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="live page")
        self.writers = 1
        """How many runs write the news of the page: each does it the more seldom, the more there are."""
        self.heads: Heads | None = None
        """Small pictures of the inputs, once they have been read."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join(_LEAVE_S)

    # ---- what the run tells -------------------------------------------------------------------------------------
    def begun(self, jobs: Iterable[Job]) -> None:
        """Note which cells the batches have that are handed out now."""
        with self._lock:
            for job in jobs:
                self._cells_of[job.key] = tuple(cell.cell_id for cell in job.batch.cells)

    def step(self, key: str, step: int, steps: int) -> None:
        """Note how far a batch is; as `tasks.work.workers.OnStep`."""
        with self._lock:
            if key in self._cells_of:
                self._running[key] = (step, steps)

    def previewed(self, taken: Mapping[str, int]) -> None:
        """Note which previews were stored: the steps of the cells, by their ids."""
        with self._lock:
            for cell_id, step in taken.items():
                known = self._previews.setdefault(cell_id, [])
                known[:] = sorted({*known, step})  # a batch whose worker died begins anew

    def ended(self, outcome: BatchOutcome) -> None:
        """Note what became of a batch; to be told of it twice changes nothing."""
        with self._lock:
            self._running.pop(outcome.batch_id, None)
            self._cells_of.pop(outcome.batch_id, None)
            for cell_id in (*outcome.done, *(failure.cell_id for failure in outcome.failed)):
                self._previews.pop(cell_id, None)
            self._fresh += outcome.rows
            failed = ((failure.cell_id, failure.error_class, failure.message) for failure in outcome.failed)
            self._fresh += [{"cell_id": i, "error_class": kind, "error_message": text} for i, kind, text in failed]

    # ---- the thread ---------------------------------------------------------------------------------------------
    def _work(self) -> None:
        written, left = False, False
        while not left:
            left = self._leaving.is_set()  # once more after the end, to say so
            cost = 0.0
            try:
                if self._joins and not written:
                    written, self._joins = self._found(), self._joins - 1
                if self._joins and not written:
                    self._leaving.wait(self._every)
                    continue
                if not written:
                    if not self._prepared.root.store.head(f"{self._folder}/{NEWS}"):
                        self._refresh(ended=left)  # before the page, which asks for it
                    self._write_page()  # before further news, which make the page of an earlier run load itself anew
                    written = True
                cost = self._refresh(ended=left)
                if self._sheet and not left:  # at the end, the report draws it
                    self._sheet.draw()
            except Exception as error:  # noqa: BLE001  whatever it is, the sweep goes on
                if not self._has_failed:
                    LOGGER.warning("the page of the sweep is not up to date: %s", error)
                self._has_failed = True
                cost = _RARELY_S  # it is tried again, and not at once
            self._leaving.wait(min(_RARELY_S, max(self._every * self.writers, cost / _SHARE)))

    def _found(self) -> bool:
        """Find the page that another run has written and still follows, and go on with it."""
        head = head_of(self._prepared.root.store, self._folder)
        if head is None or head.ended:
            return False
        self._run_id = head.run
        return True

    def _write_page(self) -> None:
        """Write the page with everything that is known of its cells before the first one is made."""
        prepared, store = self._prepared, self._prepared.root.store
        rows = planned_rows(prepared, GALLERY_CELLS)
        self.heads = heads_of_plan(prepared)
        times = moments(prepared.root.catalog, rows)
        page = build_gallery(
            rows,
            title=prepared.plan.name,
            page_uri=self._uri,
            previews_uri=store.url(PREVIEWS),
            moments=times,
            run=self._run_id,
            contents=self.heads.contents,
            styles=self.heads.styles,
            large=self.heads.large,
        )
        self._sheet = _Sheet(prepared, self._folder, rows[:SHEET_CELLS], self.heads)
        store.put(f"{self._folder}/index.html", page.encode())

    def _refresh(self, *, ended: bool) -> float:
        """Write what the page reads; return how many seconds that took."""
        began = time.monotonic()
        with self._lock:
            fresh, self._fresh = self._fresh, []
            running = [
                f"[{json.dumps(cell)},{step},{steps},{json.dumps(self._previews.get(cell, []))}]"
                for key, (step, steps) in self._running.items()
                for cell in self._cells_of.get(key, ())
            ]
        for row in fresh:
            self._lines[row["cell_id"]] = json.dumps(self._update(row), separators=(",", ":"), allow_nan=False)
        lines = ",".join(self._lines.values())
        text = news(self._run_id, time.time(), ",".join(running), lines, ended=ended)
        self._prepared.root.store.put(f"{self._folder}/{NEWS}", text.encode())
        if self._sheet:
            self._sheet.take(fresh)
        return time.monotonic() - began

    def _update(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if "error_class" in row:
            return {"id": row["cell_id"], "error": f"{row['error_class']}: {row['error_message']}"}
        times = moments(self._prepared.root.catalog, [row]).get(row["cell_id"], ())
        return update_of(row, self._uri, times)


class _Sheet:
    """The contact sheet, drawn again where its cells have changed."""

    def __init__(self, prepared: PreparedSweep, folder: str, rows: list[dict[str, Any]], heads: Heads) -> None:
        import pandas as pd

        self._store, self._key = prepared.root.store, f"{folder}/contact_sheet.jpg"
        self._title, self._heads = f"{prepared.plan.name}: {prepared.plan.total:,} cells", heads
        table = pd.DataFrame(rows)
        self._labels = varying(table[table.method.notna()])
        self._rows = rows
        self._cells: list[SheetCell | None] = [None] * len(rows)
        self._next = 0.0

    def take(self, fresh: Iterable[Mapping[str, Any]]) -> None:
        """Learn what became of cells."""
        found = {row["cell_id"]: row for row in fresh}
        for place, row in enumerate(self._rows):
            if new := found.get(row["cell_id"]):
                names = {name: row[name] for name in ("content_name", "style_name")}  # those of the manifest
                self._rows[place] = {**row, **new, **names}
                self._cells[place] = None

    def draw(self) -> None:
        """Draw the sheet if something is new and it is time to."""
        began = time.monotonic()
        if None not in self._cells or began < self._next:
            return
        for place, row in enumerate(self._rows):
            self._cells[place] = self._cells[place] or sheet_cell(self._store, row, self._labels)
        cells = [cell for cell in self._cells if cell]
        self._store.put(self._key, contact_sheet(cells, self._heads.contents, self._heads.styles, title=self._title))
        self._next = time.monotonic() + max(_SHEET_EVERY_S, (time.monotonic() - began) / _SHARE)
