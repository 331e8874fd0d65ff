"""What `nst export` writes: names that every file system takes, tables that no spreadsheet runs, all or nothing."""

from __future__ import annotations

import csv
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import InputError
from tasks.catalog import Catalog
from tasks.layout import picture_key
from tasks.pages.export import export_sweep
from tasks.pages.export_place import refuse_mixture
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def catalog_of(tmp_path: Path, *contents: str, failed: tuple[str, ...] = (), to_do: tuple[str, ...] = ()) -> Catalog:
    """A sweep `s` with a cell for each content."""
    catalog = Catalog(open_store(tmp_path / "root"))
    common = {"sweep_id": "s", "sweep_name": "s", "submitted_at": NOW}
    rows = [
        {"cell_id": f"cell{n:012d}", "position": n, "content_name": name, "style_name": None}
        for n, name in enumerate((*contents, *failed, *to_do))
    ]
    catalog.commit("sweeps", "s", "cells", rows, common=common)
    for n, row in enumerate(rows[: len(contents)]):
        data = f"picture {n}".encode()
        digest = hashlib.sha256(data).hexdigest()
        catalog.store.put(picture_key(digest, "png"), data)
        about = {"method": "gatys", "picture_digest": digest, "picture_format": "png", "picture_uri": "x"}
        catalog.commit(
            "results", "s", f"b{n}", [{"cell_id": row["cell_id"], "content_uri": row["content_name"]} | about]
        )
    for n, row in enumerate(rows[len(contents) : len(contents) + len(failed)]):
        for attempt in (1, 2):
            error = {"error_class": "InputError", "error_message": f"attempt {attempt}"}
            catalog.commit(
                "failures",
                "s",
                f"f{n}-{attempt}",
                [{"cell_id": row["cell_id"], "attempt": attempt, "method": "gatys", **error}],
            )
    return catalog


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_fit_where_names_are_counted_in_bytes(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "星月夜" * 60, "夜" * 300, "a" * 400)
    assert export_sweep(catalog, "s", tmp_path / "out").pictures == 3
    names = [name for name in files(tmp_path / "out") if name.endswith(".png")]
    assert len(names) == 3
    assert all(200 < len(name.encode()) <= 255 for name in names)
    assert all(name.removesuffix(".png").strip("星月夜a") == "" for name in names)  # no torn letter


def test_names_are_unique_also_without_capitals_and_however_letters_are_composed(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "Cat", "cat", "CAT", "caf\u00e9", "cafe\u0301", "dog")
    export_sweep(catalog, "s", tmp_path / "out")
    names = [name for name in files(tmp_path / "out") if name.endswith(".png")]
    assert len({name.casefold().replace("e\u0301", "\u00e9") for name in names}) == 6
    assert "dog.png" in names
    contents = {(tmp_path / "out" / name).read_bytes() for name in names}
    assert contents == {f"picture {n}".encode() for n in range(6)}


def test_an_export_that_cannot_be_whole_writes_nothing(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "a", "b")
    catalog.store.delete(catalog.store.list("pictures/")[1].key)
    with pytest.raises(InputError, match="is missing"):
        export_sweep(catalog, "s", tmp_path / "out")
    assert files(tmp_path) == ["root"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is missing"):
        export_sweep(catalog, "s", tmp_path / "out")
    assert files(tmp_path / "out") == ["mine.txt"]


def test_what_has_no_picture_is_counted_and_listed(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "a", failed=("b", "c"), to_do=("d",))
    exported = export_sweep(catalog, "s", tmp_path / "out")
    assert (exported.pictures, exported.to_do) == (1, 1)
    assert exported.failed == ("cell0000 InputError: attempt 2",) * 2
    with (tmp_path / "out/failed.csv").open() as file:
        assert [row["content_name"] for row in csv.DictReader(file)] == ["b", "c"]


def test_no_cell_of_the_table_is_a_formula(tmp_path: Path) -> None:
    names = ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "fine", "a=1")
    catalog = catalog_of(tmp_path, *names)
    export_sweep(catalog, "s", tmp_path / "out")
    with (tmp_path / "out/catalog.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, name in zip(rows, names, strict=True):
        expected = name if name in {"fine", "a=1"} else f"'{name}"
        assert row["content_name"] == row["content_uri"] == expected
        assert (tmp_path / "out" / row["file"]).is_file()


@pytest.mark.parametrize(
    ("folder", "said"),
    [("root", "is the root itself"), ("root/deep/out.zip", "lies below the root"), (".", "holds the root")],
)
def test_an_export_into_the_root_or_around_it_is_refused(tmp_path: Path, folder: str, said: str) -> None:
    catalog_of(tmp_path, "a")
    before = sorted(tmp_path.rglob("*"))
    asked = ["export", "s", str(tmp_path / folder), "--root", str(tmp_path / "root")]
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path not in before] == []


def test_an_export_with_a_page_and_one_without_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    refuse_mixture(tmp_path / "out", page=True)
    refuse_mixture(tmp_path / "missing", page=True)
    (tmp_path / "out/catalog.csv").write_text("file\n")
    refuse_mixture(tmp_path / "out", page=False)
    with pytest.raises(InputError, match=r"holds an earlier export with no page \(leave out --page"):
        refuse_mixture(tmp_path / "out", page=True)
    (tmp_path / "out/index.html").write_text("")
    refuse_mixture(tmp_path / "out", page=True)
    with pytest.raises(InputError, match=r"holds an earlier export with a page \(pass --page"):
        refuse_mixture(tmp_path / "out", page=False)


def test_annotations_are_columns_of_the_table_where_a_cell_has_one(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "a", "b")

    def exported() -> list[dict[str, str]]:
        export_sweep(catalog, "s", tmp_path / "out")
        with (tmp_path / "out/catalog.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def annotated(cell: str, second: int, **told: object) -> None:
        row = {"annotation_id": f"{second}", "cell_id": cell, "annotated_at": NOW.replace(second=second)}
        catalog.commit(
            "annotations", "pages", f"{second}", [row | {"favourite": False, "tags": "[]", "note": ""} | told]
        )

    annotated("another cell", 1, favourite=True)
    annotated("cell000000000001", 2, note="taken back")
    annotated("cell000000000001", 3)
    assert "favourite" not in exported()[0]
    annotated("cell000000000001", 4, favourite=True, tags='["print", "später"]', note="=best")
    found = [{key: row[key] for key in ("content_name", "favourite", "tags", "note")} for row in exported()]
    assert found == [
        {"content_name": "a", "favourite": "False", "tags": "", "note": ""},
        {"content_name": "b", "favourite": "True", "tags": "print, später", "note": "'=best"},
    ]
