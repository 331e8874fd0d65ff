"""The contact sheet: who heads what, failures marked, bounded in size, unharmed by odd names and bytes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nst.pictures.images import decode, thumbnail
from tasks.pages.contact_sheet import SheetCell, _arrange, contact_sheet

RED, GREEN, BLUE = (220, 20, 20), (20, 200, 20), (20, 20, 220)


def flat(color, height=30, width=40):
    return thumbnail(np.full((height, width, 3), color, np.uint8))


def opened(data):
    image = Image.open(BytesIO(data))
    assert image.format == "JPEG"
    return decode(data).astype(int)


def share(sheet, color):
    """Share of the sheet's pixels that have about this colour."""
    return (np.abs(sheet - color).max(2) < 40).mean()


def cells(contents="ab", styles="xyz", labels=("w=1", "w=2"), color=GREEN):
    return [SheetCell(c, s, label, flat(color)) for c in contents for s in styles for label in labels]


def test_pairs_head_the_rows_and_points_the_columns():
    grid = _arrange(cells())
    assert grid.rows == [(c, s) for c in "ab" for s in "xyz"]
    assert grid.columns == ["w=1", "w=2"]
    assert not grid.styles_across
    assert len(grid) == 12


def test_with_one_point_contents_meet_styles():
    grid = _arrange(cells(labels=("",)))
    assert grid.rows == [("a", ""), ("b", "")]
    assert grid.columns == ["x", "y", "z"]
    assert grid.styles_across


def test_one_pair_with_many_points_is_broken_into_lines_with_captions():
    grid = _arrange(cells("a", "x", [f"w={i}" for i in range(20)]))
    assert grid.captions
    assert [cell.label for row in grid.cells for cell in row if cell] == [f"w={i}" for i in range(20)]
    assert 4 <= len(grid.columns) <= 12


def test_what_was_made_from_one_image_stands_beside_every_pair_of_it():
    pairs = cells("ab", "xy", ["m=1"])
    alone = [SheetCell("", "x", "m=2", None), SheetCell("b", "", "m=3", None), SheetCell("", "", "m=4", None)]
    grid = _arrange([*pairs, *alone])
    assert grid.rows == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert grid.columns == ["m=1", "m=2", "m=3", "m=4"]
    assert [[cell is not None for cell in row] for row in grid.cells] == [
        [True, True, False, True], [True, False, False, True], [True, True, True, True], [True, False, True, True],
    ]  # fmt: skip


def test_rows_of_different_points_are_lines_with_captions():
    grid = _arrange([SheetCell("a", "", f"l={i}", None) for i in range(5)] + [SheetCell("", "x", "l=9", None)])
    assert grid.captions
    assert grid.rows == [("a", ""), ("", "x")]
    assert [[cell.label for cell in row if cell] for row in grid.cells] == [[f"l={i}" for i in range(5)], ["l=9"]]
    assert {len(row) for row in grid.cells} == {len(grid.columns)} == {5}


def test_the_pictures_and_headers_are_on_the_sheet():
    sheet = opened(contact_sheet(cells(), {"a": flat(RED), "b": flat(RED)}, {s: flat(BLUE) for s in "xyz"}))
    assert share(sheet, GREEN) > 0.4
    assert share(sheet, RED) == pytest.approx(share(sheet, BLUE), rel=0.05)
    assert share(sheet, RED) > 0.05
    bare = opened(contact_sheet(cells()))
    assert share(bare, GREEN) > 0.4
    assert share(bare, RED) == share(bare, BLUE) == 0


def test_a_failed_cell_is_a_marked_box_and_a_missing_one_is_grey():
    good = cells("a", "x")
    pink, grey = (249, 237, 236), (243, 243, 243)
    for bad, color in (
        (SheetCell("a", "x", "w=3", None, "the loss became NaN at step 31"), pink),
        (SheetCell("a", "x", "w=3", b"garbage"), pink),
        (SheetCell("a", "x", "w=3", None), grey),
    ):
        sheet = opened(contact_sheet([*good, bad]))
        assert (np.abs(sheet - color).max(2) < 4).mean() > 0.1, bad
        assert (np.abs(opened(contact_sheet(good)) - color).max(2) < 4).mean() < 0.01


def test_size_is_bounded():
    many = cells("abcdefgh", "uvwxyz", [f"w={i}" for i in range(40)], color=BLUE)
    data = contact_sheet(many, max_cells=30, tile=64)
    sheet = opened(data)
    assert sheet.shape[1] < 13 * 80 + 100
    assert sheet.shape[0] < 2 * 64 + 100
    whole = opened(contact_sheet(cells("ab", "x", [f"w={i}" for i in range(12)], color=BLUE), max_cells=30, tile=64))
    assert whole.shape[0] < sheet.shape[0]  # no "+N more" line


def test_odd_names_and_no_cells_do_no_harm():
    name = "夜 </script> \n\t" + "long" * 300
    wild = [SheetCell(name, name, f"{name}={i}", None, name) for i in range(2)]
    assert opened(contact_sheet(wild, {name: b"garbage"}, {name: b""}, title=name)).size
    assert opened(contact_sheet([], title="nothing yet")).size
    assert opened(
        contact_sheet([SheetCell("", "", "", flat(GREEN, 1, 300)), SheetCell("c", "", "", flat(RED, 300, 1))])
    ).size


def test_equal_sheets_have_equal_bytes():
    assert contact_sheet(cells(), title="t") == contact_sheet(cells(), title="t")
