"""The pages of a sweep: a contact sheet and a gallery below `<root>/gallery/<sweep>/`, made from the catalog alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tasks.layout import PREVIEWS, SHOWN_SWEEPS, page_folder
from tasks.pages.contact_sheet import contact_sheet
from tasks.pages.gallery import build_gallery
from tasks.pages.heads import Heads, heads_of, inputs_of_plan, inputs_of_rows
from tasks.pages.large_heads import LargeHeads, largest_of_plan, largest_of_rows, putting_into
from tasks.pages.news import NEWS, followed, head_of, news
from tasks.pages.rows import planned_rows, records, shown_rows, sweep_table, varying
from tasks.pages.sheet import SHEET_CELLS, sheet_cell
from tasks.pages.traces import traces
from tasks.pages.unfinished import fill_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasks.catalog import Catalog
    from tasks.planning.sweep import PreparedSweep
    from tasks.root import Root
    from tasks.status import SweepStatus
    from tasks.store import Store

_ELSEWHERE: Final = "export://"
"""Where a page lies that is not written below the root: its links are relative to it."""

GALLERY_CELLS: Final = 100_000
"""Cells on one page; browsers stay quick (tests/benchmarks/REPORT.md)."""

_FRAMES_OF: Final = ("content_digest", "clip_first", "clip_last", "clip_every", "clip_seconds")
"""Columns that say which frames of a content a clip has."""

_TABLE_ROWS: Final = 200
"""Rows of the summary table on Prefect's page."""

_TABLE_COLUMNS: Final = ("content_name", "style_name", "style_loss", "content_loss", "ssim_content", "seconds")


@dataclass(frozen=True, slots=True)
class Page:
    """What a finished run has to show.

    Attributes:
        uri: URI of the gallery; the contact sheet lies beside it.
        text: The gallery itself.
        rows: A short table for Prefect's page.
        contact_sheet: The JPEG itself.
    """

    uri: str
    text: str
    rows: list[dict[str, object]]
    contact_sheet: bytes


def page_uri(prepared: PreparedSweep) -> str:
    """Return the URI of the page of a sweep, written or not."""
    return prepared.root.store.url(f"{page_folder(prepared.plan.name, prepared.plan.sweep_id)}/index.html")


def report(prepared: PreparedSweep, heads: Heads | None = None) -> Page:
    """Write the contact sheet and the gallery of a sweep over those of earlier runs.

    Args:
        prepared: The plan, which knows the settings of cells that are not done.
        heads: Small pictures of its inputs, where they have been read already.
    """
    plan, root = prepared.plan, prepared.root
    rows = planned_rows(prepared, GALLERY_CELLS)
    folder = page_folder(plan.name, plan.sweep_id)
    heads = heads or heads_of_plan(prepared)
    run = _run_to_follow(root.store, folder, rows)
    return _write(root, plan.name, rows, heads, folder=folder, total=plan.total, run=run)


def heads_of_plan(prepared: PreparedSweep) -> Heads:
    """Return the small pictures of the inputs of a planned sweep, and write the larger ones beside its page."""
    plan, store = prepared.plan, prepared.root.store
    put = putting_into(store, page_folder(plan.name, plan.sweep_id))
    return heads_of(inputs_of_plan(plan.cells), store, LargeHeads(put, largest_of_plan(plan.cells)))


def write_again(root: Root, name: str, sweep_id: str, total: int) -> Page:
    """Write the pages of a sweep from its rows alone, after the catalog has learned more about its pictures.

    Images behind a signed link cannot be read any more, and head no row or column then.
    """
    rows = shown_rows(root.store, records(sweep_table(root.catalog, sweep_id, GALLERY_CELLS)))
    folder = page_folder(name, sweep_id)
    heads = heads_of(
        inputs_of_rows(rows), root.store, LargeHeads(putting_into(root.store, folder), largest_of_rows(rows))
    )
    run = _run_to_follow(root.store, folder, rows)
    return _write(root, name, rows, heads, folder=folder, total=total, run=run)


def _run_to_follow(store: Store, folder: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the last run of a sweep that is not done: an open page learns from its news of the run after it, too."""
    head = head_of(store, folder) if any(row["picture_uri"] is None for row in rows) else None
    return head.run if head else ""


def page_elsewhere(
    catalog: Catalog,
    name: str,
    sweep_id: str,
    total: int,
    *,
    files: Mapping[int, str],
    put: Callable[[str, bytes], object],
) -> Page:
    """Return the page of a sweep for a folder that has its pictures under other names.

    Args:
        catalog: The catalog of the root.
        name: Name of the sweep.
        sweep_id: Its id.
        total: Number of its cells.
        files: The names, by the position of the cell in the sweep: pictures in the folder `pictures` beside the page,
            thumbnails in the folder `thumbs`, where `.webp` follows the name. Previews have the keys that they have in
            the root.
        put: Writes a file beside the page, given its name and bytes: the large heads.
    """

    def located(row: Mapping[str, Any]) -> tuple[str, str]:
        file = files[row["position"]]
        return f"{_ELSEWHERE}/pictures/{file}", f"{_ELSEWHERE}/thumbs/{file}.webp"

    rows = shown_rows(catalog.store, records(sweep_table(catalog, sweep_id, GALLERY_CELLS)), located)
    heads = heads_of(inputs_of_rows(rows), catalog.store, LargeHeads(put, largest_of_rows(rows)))
    return _made(catalog, name, rows, heads, uri=f"{_ELSEWHERE}/index.html", total=total)


def write_together(root: Root, sweeps: Sequence[SweepStatus], folder: str, run: str = "") -> Page:
    """Write one page of several sweeps, whose names become one of its axes.

    Sweeps of one name are told apart by the beginnings of their ids.

    Args:
        root: The root.
        sweeps: In the order of the axis.
        folder: Prefix of the page (`tasks.layout.together_folder`).
        run: What tells this page from those that were written before and may be open; "" if nobody follows it. One that
            is followed also reads the news of those sweeps that are being made.
    """
    names = [status.name for status in sweeps]
    rows: list[dict[str, Any]] = []
    for status in sweeps:
        label = status.name if names.count(status.name) == 1 else f"{status.name} ({status.sweep_id[:8]})"
        left = max(0, GALLERY_CELLS - len(rows))
        found = shown_rows(root.store, records(sweep_table(root.catalog, status.sweep_id, left)))
        fill_settings(root.store, status, found)
        rows += [{**row, "sweep": label} for row in found]
    put = putting_into(root.store, folder)
    heads = heads_of(inputs_of_rows(rows), root.store, LargeHeads(put, largest_of_rows(rows)))
    follows = [f"{each}/{NEWS}" for each in followed(root, sweeps).values()] if run else []
    total = sum(status.total for status in sweeps)
    title = ", ".join(dict.fromkeys(names)) if len(names) <= 4 else f"{len(names)} sweeps"
    root.store.put(f"{folder}/{SHOWN_SWEEPS}", json.dumps([status.sweep_id for status in sweeps]).encode())
    page = _write(root, title, rows, heads, folder=folder, total=total, run=run, follows=follows)
    if run:  # after the page, which whoever has the one before open loads then
        root.store.put(f"{folder}/{NEWS}", news(run).encode())
    return page


def _write(
    root: Root,
    name: str,
    rows: list[dict[str, Any]],
    heads: Heads,
    *,
    folder: str,
    total: int,
    run: str = "",
    follows: Sequence[str] = (),
) -> Page:
    store, catalog = root.store, root.catalog
    uri, losses = store.url(f"{folder}/index.html"), traces(catalog, rows)
    read = [store.url(key) for key in follows]
    page = _made(catalog, name, rows, heads, uri=uri, total=total, run=run, follows=read, has_traces=bool(losses))
    store.put(f"{folder}/contact_sheet.jpg", page.contact_sheet)
    if losses:
        store.put(f"{folder}/traces.js", losses.encode())
    store.put(f"{folder}/index.html", page.text.encode())
    return page


def _made(
    catalog: Catalog,
    name: str,
    rows: list[dict[str, Any]],
    heads: Heads,
    *,
    uri: str,
    total: int,
    run: str = "",
    follows: Sequence[str] = (),
    has_traces: bool = False,
) -> Page:
    """Return a page that will lie at `uri`, with `traces.js` beside it or not."""
    import pandas as pd

    title = name
    if total > GALLERY_CELLS:
        title += f", the first {GALLERY_CELLS:,} of {total:,} cells"
    table = pd.DataFrame(rows, columns=None if rows else ["method", "picture_uri"])
    labels = varying(table[table.method.notna()])
    shown = [sheet_cell(catalog.store, row, labels) for row in rows[:SHEET_CELLS]]
    sheet = contact_sheet(shown, heads.contents, heads.styles, title=f"{name}: {total:,} cells")
    text = build_gallery(
        rows,
        title=title,
        page_uri=uri,
        previews_uri=f"{_ELSEWHERE}/{PREVIEWS}" if uri.startswith(_ELSEWHERE) else catalog.store.url(PREVIEWS),
        contents=heads.contents,
        styles=heads.styles,
        large=heads.large,
        moments=moments(catalog, rows),
        run=run,
        follows=follows,
        has_traces=has_traces,
    )
    done = table[table.picture_uri.notna()].head(_TABLE_ROWS)
    return Page(uri, text, records(done.reindex(columns=[*_TABLE_COLUMNS, *labels])), sheet)


def moments(catalog: Catalog, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return when each frame of the clips is shown, in seconds of the content, by the ids of their cells.

    They are read for one of the cells that have the same frames of a content.
    """
    clips = {row["cell_id"]: tuple(row.get(key) for key in _FRAMES_OF) for row in rows if row.get("clip_frames")}
    chosen = {frames: cell_id for cell_id, frames in clips.items()}
    if not chosen:
        return {}
    table = catalog.read("frames", ["cell_id", "frame", "time"], where=("cell_id", set(chosen.values())))
    times: dict[str, dict[int, float]] = {}  # the passes of a frame have one time
    for cell_id, frame, moment in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
        times.setdefault(cell_id, {})[frame] = moment
    return {cell_id: sorted(times.get(chosen[frames], {}).values()) for cell_id, frames in clips.items()}
