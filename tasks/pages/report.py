"""The pages of a sweep: a contact sheet and a gallery below `<root>/gallery/<sweep>/`, made from the catalog alone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from nst.errors import NstError
from nst.pictures.images import decode, thumbnail
from nst.records import ClipRef, ImageRef, MaskRef
from nst.yaml.json_text import from_json
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.reading import read_picture, read_planned
from tasks.layout import page_folder, picture_key, thumbnail_key
from tasks.pages.contact_sheet import SheetCell, contact_sheet
from tasks.pages.gallery import build_gallery
from tasks.pages.rows import short, sweep_rows, varying
from tasks.pages.sheet_drawing import montage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from nst.planning.cells import Cells
    from nst.records import StyleRef
    from tasks.catalog import Catalog
    from tasks.planning.sweep import PreparedSweep
    from tasks.root import Root
    from tasks.store import Store

_SHEET_CELLS: Final = 144
_GALLERY_CELLS: Final = 20_000
"""Cells on one page: 2 MB of numbers; browsers stay quick."""

_ELSEWHERE: Final = "export://"
"""Where a page lies that is not written below the root: its links are relative to it."""

_HEADERS: Final = 200
"""Content or style pictures that head rows and columns; more are named only."""

_HEADER_PX: Final = 640

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


def written_page(prepared: PreparedSweep) -> str:
    """Return the URI of the page that an earlier run wrote, or ""."""
    key = f"{page_folder(prepared.plan.name, prepared.plan.sweep_id)}/index.html"
    store = prepared.root.store
    return store.url(key) if store.head(key) else ""


def report(prepared: PreparedSweep) -> Page:
    """Write the contact sheet and the gallery of a sweep over those of earlier runs."""
    plan = prepared.plan
    known = (*_trained_styles(plan.cells), *plan.cells.styles)
    return _write(
        prepared.root,
        _Sweep(plan.name, plan.sweep_id, plan.total),
        sweep_table(prepared.root.catalog, plan.sweep_id, _GALLERY_CELLS),
        {content.name: (content,) for content in plan.cells.contents if content},
        {style.name: style.images for style in known if style},
    )


def write_again(root: Root, name: str, sweep_id: str, total: int) -> Page:
    """Write the pages of a sweep from its rows alone, after the catalog has learned more about its pictures.

    Images behind a signed link cannot be read any more, and head no row or column then.
    """
    return _write(root, _Sweep(name, sweep_id, total), *_from_rows(root.catalog, sweep_id))


def page_elsewhere(catalog: Catalog, name: str, sweep_id: str, total: int, files: Mapping[int, str]) -> Page:
    """Return the page of a sweep for a folder that has its pictures under other names; nothing is written.

    Args:
        catalog: The catalog of the root.
        name: Name of the sweep.
        sweep_id: Its id.
        total: Number of its cells.
        files: The names, by the position of the cell in the sweep: pictures in the folder `pictures` beside the page,
            thumbnails in the folder `thumbs`, where `.webp` follows the name.
    """

    def located(row: Mapping[str, Any]) -> tuple[str, str]:
        file = files[row["position"]]
        return f"{_ELSEWHERE}/pictures/{file}", f"{_ELSEWHERE}/thumbs/{file}.webp"

    material = _from_rows(catalog, sweep_id)
    uri = f"{_ELSEWHERE}/index.html"
    return _made(catalog, _Sweep(name, sweep_id, total), *material, page_uri=uri, located=located)


def _from_rows(catalog: Catalog, sweep_id: str) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Return the rows of a sweep, and the content and style images that they name."""
    cells = sweep_table(catalog, sweep_id, _GALLERY_CELLS)
    rows = [row for row in records(cells) if row["picture_uri"] is not None]
    contents = {row["content_name"]: (_content(row),) for row in rows if row["content_name"]}
    styles = {row["style_name"]: _style(row) for row in rows if row["style_name"] and row.get("style_uris")}
    return cells, contents, styles


@dataclass(frozen=True, slots=True)
class _Sweep:
    """What a page says of its sweep."""

    name: str
    sweep_id: str
    total: int


def _write(
    root: Root,
    sweep: _Sweep,
    cells: pd.DataFrame,
    content_images: Mapping[str, Sequence[ImageRef]],
    style_images: Mapping[str, Sequence[ImageRef]],
) -> Page:
    store, folder = root.store, page_folder(sweep.name, sweep.sweep_id)

    def located(row: Mapping[str, Any]) -> tuple[str, str]:  # where they lie now: the root may be a copy
        keys = picture_key(row["picture_digest"], row["picture_format"]), thumbnail_key(row["picture_digest"])
        return store.url(keys[0]), store.url(keys[1])

    uri = store.url(f"{folder}/index.html")
    page = _made(root.catalog, sweep, cells, content_images, style_images, page_uri=uri, located=located)
    store.put(f"{folder}/contact_sheet.jpg", page.contact_sheet)
    store.put(f"{folder}/index.html", page.text.encode())
    return page


def _made(
    catalog: Catalog,
    sweep: _Sweep,
    cells: pd.DataFrame,
    content_images: Mapping[str, Sequence[ImageRef]],
    style_images: Mapping[str, Sequence[ImageRef]],
    *,
    page_uri: str,
    located: Callable[[Mapping[str, Any]], tuple[str, str]],
) -> Page:
    """Return a page that will lie at `page_uri`; `located` gives the URIs of the picture and the thumbnail of a row."""
    store = catalog.store
    done = cells[cells.picture_uri.notna()]
    labels = varying(cells[cells.method.notna()])
    contents, styles = _headers(content_images, store), _headers(style_images, store)
    title = f"{sweep.name}: {sweep.total:,} cells"
    if sweep.total > _GALLERY_CELLS:
        title += f", the first {_GALLERY_CELLS:,} shown"
    for row in (rows := records(cells)):
        if row["picture_uri"] is not None:
            row["picture_uri"], row["thumbnail_uri"] = located(row)
        elif (parts := content_images.get(row["content_name"] or "")) and (clip := parts[0].clip):
            row |= {f"clip_{key}": getattr(clip, key) for key in ("first", "last", "every")}
    shown = [_sheet_cell(store, row, labels) for row in records(cells.head(_SHEET_CELLS))]
    sheet = contact_sheet(shown, contents, styles, title=title)
    moments = _moments(catalog, rows)
    text = build_gallery(rows, title=title, page_uri=page_uri, contents=contents, styles=styles, moments=moments)
    table = records(done.head(_TABLE_ROWS).reindex(columns=[*_TABLE_COLUMNS, *labels]))
    return Page(page_uri, text, table, sheet)


def sweep_table(catalog: Catalog, sweep_id: str, limit: int | None = None) -> pd.DataFrame:
    """Return one row per cell of a sweep in the manifest's order: its result, or else its last failed attempt.

    Args:
        catalog: The catalog of the root.
        sweep_id: Id of the sweep.
        limit: Only the first cells, this many; None for all.
    """
    results = sweep_rows(catalog, sweep_id, how="left", limit=limit).set_index("position")
    failures = sweep_rows(catalog, sweep_id, "failures", limit=limit).sort_values(["position", "attempt"])
    failures = failures.drop_duplicates("position", keep="last").set_index("position")
    undone = failures.index.intersection(results.index[results.picture_uri.isna()])
    columns = results.columns.union(failures.columns, sort=False)
    table = results.reindex(columns=columns).astype(object)
    table.loc[undone] = failures.loc[undone].reindex(columns=columns).astype(object)
    return table.reset_index()


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, with None for what is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _sheet_cell(store: Store, row: dict[str, Any], labels: list[str]) -> SheetCell:
    done = row["picture_uri"] is not None
    label = ", ".join(f"{name}={short(row[name])}" for name in labels if row[name] is not None)
    picture, error = None, ""
    if done:
        try:
            picture = store.get(thumbnail_key(row["picture_digest"]))
        except (FileNotFoundError, NstError) as problem:
            error = f"thumbnail: {problem}"
    elif row["error_class"] is not None:
        error = f"{row['error_class']}: {row['error_message']}"
    frames = row.get("clip_frames") if done else None
    mark = f"{int(frames):,} frames, {row['clip_seconds']:.3g} s" if frames else ""
    return SheetCell(row["content_name"] or "", row["style_name"] or "", label, picture, error, mark)


def _content(row: Mapping[str, Any]) -> ImageRef:
    """Return the content image of a row, which may be a mask alone."""
    mask_uri = row.get("content_mask_uri")
    mask = MaskRef(mask_uri, row["content_mask_digest"]) if mask_uri else None
    clip = None
    if row.get("clip_frames"):
        clip = ClipRef(int(row["clip_first"]), int(row["clip_last"]), int(row["clip_every"]))
    return ImageRef(row["content_name"], row.get("content_uri") or "", row.get("content_digest") or "", mask, clip=clip)


def _style(row: Mapping[str, Any]) -> list[ImageRef]:
    """Return the images of the style of a row."""
    images = zip(from_json(row["style_uris"]), from_json(row["style_digests"]), strict=True)
    return [ImageRef(row["style_name"], uri, digest) for uri, digest in images]


def _trained_styles(cells: Cells) -> list[StyleRef | None]:
    """Return the styles that the networks of cells without a style of their own were trained for."""
    needs = cells.variants.needs
    return [model.style for (structure, _), model in cells.models.items() if "style" not in needs[structure]]


def _headers(images: Mapping[str, Sequence[ImageRef]], store: Store) -> dict[str, bytes]:
    """Return small pictures of inputs by name, a mix as all of its images; what cannot be read is left out.

    The cells of an image that cannot be read say why.
    """
    headers = {}
    for name, parts in islice(images.items(), _HEADERS):
        pictures = []
        for image in parts:
            with contextlib.suppress(NstError):
                pictures.append(_shown(image, store))
        if pictures:
            headers[name] = thumbnail(montage(pictures, _HEADER_PX), _HEADER_PX)
    return headers


def _shown(image: ImageRef, store: Store) -> np.ndarray:
    """Return the picture that stands for an input: of a clip its first selected frame, of a mask alone the mask.

    Raises:
        NstError: It cannot be read, or is a clip and the extra `video` is not installed.
    """
    if image.clip is None:
        return read_picture(image if image.uri or image.mask is None else image.mask)
    if image.clip.stills:
        still = image.clip.stills[image.clip.first]
        return decode(read_planned(still.link or still.uri, still.digest))
    from tasks.clips.keeping import kept_info  # late: the extra `video` is needed for clips alone
    from tasks.clips.reading import frames

    data = read_planned(image.link or image.uri, image.digest, max_bytes=MOST_BYTES)
    info = kept_info(store, image.digest, image.uri, lambda: data)
    ((_, picture),) = frames(data, [image.clip.first], info)
    return picture


def _moments(catalog: Catalog, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return when each frame of the clips is shown, in seconds of the content, by the ids of their cells.

    They are read for one of the cells that have the same frames of a content.
    """
    clips = {row["cell_id"]: tuple(row[key] for key in _FRAMES_OF) for row in rows if row.get("clip_frames")}
    chosen = {frames: cell_id for cell_id, frames in clips.items()}
    if not chosen:
        return {}
    table = catalog.read("frames", ["cell_id", "frame", "time"], where=("cell_id", set(chosen.values())))
    times: dict[str, dict[int, float]] = {}  # the passes of a frame have one time
    for cell_id, frame, time in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
        times.setdefault(cell_id, {})[frame] = time
    return {cell_id: sorted(times.get(chosen[frames], {}).values()) for cell_id, frames in clips.items()}
