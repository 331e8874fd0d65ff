"""The contact sheet: who heads what, failures marked, bounded in size, unharmed by odd names and bytes."""

from __future__ import annotations

from io import BytesIO
from itertools import product

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nst.pictures.images import decode, thumbnail
from tasks.pages.contact_sheet import SheetCell, contact_sheet

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


LEVELS = [(r, g, b) for r in (20, 130, 240) for g in (20, 130, 240) for b in (20, 130, 240)]
DISTINCT = [color for color in LEVELS if max(color) - min(color) > 50]
"""Colours that no other is near to, and neither text nor paper."""


def coloured(*cells):
    """Give each (content, style, label) a picture of its own colour."""
    colors = DISTINCT[: len(cells)]
    return [SheetCell(*cell, flat(color)) for cell, color in zip(cells, colors, strict=True)]


def centres(sheet, cell):
    """Middles of a cell's pictures on a sheet, (row, column) in pixels; found by their colour."""
    regions, _ = ndimage.label(np.abs(sheet - decode(cell.picture)[0, 0].astype(int)).max(2) < 25)
    large = np.flatnonzero(np.bincount(regions.ravel()) > 1000)[1:]  # the first is all that has another colour
    return ndimage.center_of_mass(regions > 0, regions, large)


def places(cells):
    """Rows and columns of each cell's pictures on the sheet, counted among all pictures."""
    sheet = opened(contact_sheet(cells))
    found = [[(round(y / 8), round(x / 8)) for y, x in centres(sheet, cell)] for cell in cells]
    rows, columns = (sorted({place[axis] for each in found for place in each}) for axis in (0, 1))
    return [{(rows.index(y), columns.index(x)) for y, x in each} for each in found]


def captioned(cells):
    """Whether there is text just below the picture of each cell."""
    sheet = opened(contact_sheet(cells))
    middles = [tuple(map(int, centres(sheet, cell)[0])) for cell in cells]
    return [bool((sheet[y + 70 : y + 100, x - 60 : x + 60].max(2) < 120).any()) for y, x in middles]


def test_pairs_head_the_rows_and_points_the_columns():
    pairs, points = list(product("ab", "xyz")), ["w=1", "w=2"]
    cells = coloured(*((*pair, point) for pair in pairs for point in points))
    assert places(cells) == [{(row, column)} for row in range(6) for column in range(2)]


def test_with_one_point_contents_meet_styles():
    cells = coloured(*((c, s, "") for c in "ab" for s in "xyz"))
    assert places(cells) == [{(row, column)} for row in range(2) for column in range(3)]


def test_one_pair_with_many_points_is_broken_into_lines_with_captions():
    cells = coloured(*(("a", "x", f"w={n}") for n in range(18)))
    found = places(cells)
    width = 1 + max(column for each in found for _, column in each)
    assert 4 <= width <= 9
    assert found == [{divmod(n, width)} for n in range(18)]
    assert all(captioned(cells))
    assert not any(captioned(cells[:6])), "a single line has its captions as headings"


def test_what_was_made_from_one_image_stands_beside_every_pair_of_it():
    cells = coloured(*((c, s, "m=1") for c in "ab" for s in "xy"), ("", "x", "m=2"), ("b", "", "m=3"), ("", "", "m=4"))
    *pairs, of_style, of_content, of_neither = places(cells)
    assert pairs == [{(row, 0)} for row in range(4)]  # a x, a y, b x, b y
    assert of_style == {(0, 1), (2, 1)}
    assert of_content == {(2, 2), (3, 2)}
    assert of_neither == {(row, 3) for row in range(4)}


def test_rows_of_different_points_are_lines_with_captions():
    cells = coloured(*(("a", "", f"l={n}") for n in range(5)), ("", "x", "l=9"))
    assert places(cells) == [*({(0, column)} for column in range(5)), {(1, 0)}]
    assert all(captioned(cells))


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
