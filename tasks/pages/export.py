"""Writes the pictures of a sweep into a folder under readable names, with tables of their rows and of what failed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError
from nst.pictures.xmp import with_manifest
from nst.yaml.json_text import from_json
from tasks.layout import picture_key, preview_key, thumbnail_key
from tasks.pages.cell_manifest import manifest_text
from tasks.pages.choices import latest
from tasks.pages.gallery.values import preview_steps
from tasks.pages.large_heads import FOLDER
from tasks.pages.report import page_elsewhere
from tasks.pages.rows import records, short, sweep_rows, varying
from tasks.planning.only import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from tasks.catalog import Catalog

_LONGEST_NAME: Final = 200
"""Bytes of a file's name; file systems take 255, and archives and synchronising programs add to them."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        pictures: Number of pictures, one for each row of `catalog.csv`.
        failed: One line for each cell that has no picture because it failed; `failed.csv` says why.
        to_do: Number of cells that have not been tried.
    """

    pictures: int
    failed: tuple[str, ...]
    to_do: int


def export_sweep(
    catalog: Catalog, sweep_id: str, folder: Path, *, frames: bool = False, page: bool = False
) -> Exported:
    """Write every picture of a sweep, `catalog.csv`, and `failed.csv` if cells failed: everything or nothing.

    Every picture carries the manifest of its cell (`nst.pictures.xmp`), with its pixels untouched; clips carry none.
    `catalog.csv` has the columns `favourite`, `tags` and `note` where the root has such annotations of these cells.

    Args:
        catalog: The catalog of the root.
        sweep_id: The sweep.
        folder: Where to write; made if it is missing. A name that ends in `.zip` is that of an archive, which replaces
            one that is there.
        frames: Whether a folder with its frames is written beside the file of each clip.
        page: Whether the page and the contact sheet are written, too. The pictures are in the folder `pictures` then,
            and the page finds all it needs beside it.

    Raises:
        InputError: No cell of the sweep is done yet, a picture is missing, or the folder cannot be written.
    """
    rows = sweep_rows(catalog, sweep_id)
    if rows.empty:
        raise InputError("nothing of this sweep is done yet")
    names = file_names(rows)
    failed = _failed(catalog, sweep_id, set(rows.cell_id))
    sweep = catalog.read("sweeps", ["sweep_id", "sweep_name", "cell_id"], where=("sweep_id", {sweep_id}))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".nst-export-", dir=folder.parent) as found:
            aside = Path(found)
            pictures = aside / "pictures" if page else aside
            pictures.mkdir(exist_ok=True)
            for name, row in zip(names, records(rows), strict=True):
                (pictures / name).write_bytes(_carrying(catalog, row))
            if frames:
                _write_frames(catalog, list(zip(rows.cell_id, names, strict=True)), pictures)
            if page:
                files = dict(zip(rows.position, names, strict=True))
                (aside / FOLDER).mkdir()
                shown = page_elsewhere(
                    catalog,
                    sweep["sweep_name"][0].as_py(),
                    sweep_id,
                    sweep.num_rows,
                    files=files,
                    put=lambda file, data: (aside / file).write_bytes(data),
                )
                (aside / "index.html").write_text(shown.text, encoding="utf-8")
                (aside / "contact_sheet.jpg").write_bytes(shown.contact_sheet)
                _write_thumbnails(catalog, zip(names, rows.picture_digest, strict=True), aside / "thumbs")
                _write_previews(catalog, records(rows), aside)
            rows = _annotated(catalog, rows)
            rows.insert(0, "file", [f"pictures/{name}" if page else name for name in names])
            _write_csv(rows, aside / "catalog.csv")
            if len(failed):
                _write_csv(failed, aside / "failed.csv")
            (_pack if folder.suffix.lower() == ".zip" else _move)(aside, folder)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    lines = tuple(
        f"{cell_id[:8]} {kind}: {message}"
        for cell_id, kind, message in zip(failed.cell_id, failed.error_class, failed.error_message, strict=True)
    )
    return Exported(len(names), lines, sweep.num_rows - len(names) - len(lines))


def _annotated(catalog: Catalog, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with `favourite`, `tags` (separated by commas) and `note`, where any of their cells has one."""
    notes = {note["cell_id"]: note for note in latest(catalog)}
    found = [notes.get(cell_id) for cell_id in rows.cell_id]
    if not any(note and (note["favourite"] or note["note"] or from_json(note["tags"] or "[]")) for note in found):
        return rows
    return rows.assign(
        favourite=[bool(note and note["favourite"]) for note in found],
        tags=[", ".join(from_json(note["tags"] or "[]")) if note else "" for note in found],
        note=[(note and note["note"]) or "" for note in found],
    )


def _carrying(catalog: Catalog, row: Mapping[str, Any]) -> bytes:
    """Return the file of a picture with its manifest in it."""
    data = _picture(catalog, picture_key(row["picture_digest"], row["picture_format"]))
    if row.get("clip_frames") is not None:
        return data
    return with_manifest(data, manifest_text(row, data))


def _write_thumbnails(catalog: Catalog, files: Iterable[tuple[str, str]], folder: Path) -> None:
    """Write the thumbnail of each picture; of one that is missing the page shows the name."""
    folder.mkdir()
    for name, digest in files:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{name}.webp").write_bytes(catalog.store.get(thumbnail_key(digest)))


def _write_previews(catalog: Catalog, rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write the previews of each cell under the names that they have in the root; one that is missing is left out."""
    for row in rows:
        for step in preview_steps(row):
            key = preview_key(row["cell_id"], step)
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                (folder / key).write_bytes(catalog.store.get(key))


def _pack(aside: Path, archive: Path) -> None:
    """Make an archive of the finished files, which are compressed already, and give it its place."""
    with tempfile.NamedTemporaryFile(prefix=".nst-export-", dir=archive.parent, delete=False) as packed:
        try:
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as writer:
                for file in sorted(file for file in aside.rglob("*") if file.is_file()):
                    writer.write(file, Path(archive.stem) / file.relative_to(aside))
            os.replace(packed.name, archive)  # noqa: PTH105  as below
        except BaseException:
            Path(packed.name).unlink(missing_ok=True)
            raise


def _write_frames(catalog: Catalog, clips: Sequence[tuple[str, str]], folder: Path) -> None:
    """Write the frames of each clip, in its last pass, into a folder that is named like its file.

    Args:
        catalog: The catalog of the root.
        clips: The cell and the name of the file of each picture; those of stills are passed over.
        folder: Where the folders are made.

    Raises:
        InputError: A frame is missing.
    """
    columns = ["cell_id", "pass", "frame", "picture_digest"]
    rows = catalog.read("frames", columns, where=("cell_id", {cell_id for cell_id, _ in clips})).sort_by("pass")
    made: dict[str, dict[int, str]] = {}
    for row in rows.to_pylist():
        made.setdefault(row["cell_id"], {})[row["frame"]] = row["picture_digest"]
    for cell_id, name in clips:
        for frame, digest in made.get(cell_id, {}).items():
            target = folder / Path(name).stem / f"{frame:06d}.png"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(_picture(catalog, picture_key(digest, "png")))


def _failed(catalog: Catalog, sweep_id: str, done: set[str]) -> pd.DataFrame:
    """Return the last failed attempt of each cell that is not done."""
    rows = sweep_rows(catalog, sweep_id, "failures").sort_values(["position", "attempt"])
    return rows[~rows.cell_id.isin(done)].drop_duplicates("position", keep="last")


def _move(aside: Path, folder: Path) -> None:
    """Give the finished files their places; what an older export left under other names stays."""
    folder.mkdir(exist_ok=True)
    for file in sorted(file for file in aside.rglob("*") if file.is_file()):
        target = folder / file.relative_to(aside)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)  # noqa: PTH105  one call per picture
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()  # the context removes it


def _write_csv(rows: pd.DataFrame, file: Path) -> None:
    """Write the columns that have values; text that spreadsheets would run as a formula is quoted by an apostrophe."""
    filled = rows.dropna(axis="columns", how="all")
    filled.map(_harmless).to_csv(file, index=False)


def _harmless(value: object) -> object:
    return guarded(value) if isinstance(value, str) else value


def _picture(catalog: Catalog, key: str) -> bytes:
    try:
        return catalog.store.get(key)
    except FileNotFoundError as error:
        raise InputError(
            f"{catalog.store.url(key)} is missing", hint="nst fsck lists everything that is missing"
        ) from error


def file_names(rows: pd.DataFrame) -> list[str]:
    """Return one readable file name per row: content, style, and the parameters that vary.

    Names are unique also where capitals and composed letters do not count, and short enough for every file system.
    """
    import pandas as pd

    columns = varying(rows)
    stems = []
    for row in rows.to_dict("records"):
        # A missing name is None or NaN: pandas decides by what else the column holds.
        parts = [row[key] for key in ("content_name", "style_name") if isinstance(row.get(key), str)]
        parts += [f"{column}={short(row[column])}" for column in columns if not pd.isna(row[column])]
        parts = parts or [row["method"]]
        stem = re.sub(r"[^\w=.+-]+", "-", "__".join(parts)).lstrip(
            ".=+-"
        )  # neither hidden, nor an option, nor a formula
        stems.append(_cut(stem or row["method"], _LONGEST_NAME))
    seen = Counter(map(_folded, stems))
    taken = {folded for folded, times in seen.items() if times == 1}
    names = []
    for stem, cell_id, kind in zip(stems, rows.cell_id, rows.picture_format, strict=True):
        name = stem
        if seen[_folded(stem)] > 1:
            longer = (f"{stem}__{cell_id[:8]}{number}" for number in ("", *(f"-{n}" for n in range(2, len(stems) + 2))))
            name = next(each for each in longer if _folded(each) not in taken)
            taken.add(_folded(name))
        names.append(f"{name}.{'jpg' if kind == 'jpeg' else kind}")
    return names


def _cut(text: str, most: int) -> str:
    """Return the longest beginning of a text that takes at most this many bytes in UTF-8."""
    return text.encode()[:most].decode(errors="ignore")


def _folded(name: str) -> str:
    """Return what file systems compare that ignore capitals and the composition of letters."""
    return unicodedata.normalize("NFC", name).casefold()
