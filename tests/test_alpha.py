"""`output: {alpha: true}` keeps the transparency of the content; the computation sees it over white either way."""

from __future__ import annotations

import numpy as np
import pytest
from cells import blocks
from sweeps import TINY, picture_of, plan, run, write, write_pictures

from nst.pictures.images import resize_to

MANIFEST = f"""\
name: transparent
contents: [clear.png, cat.png]
styles: waves.png
method: {{name: gatys, {TINY}}}
"""
SLOPE = np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(48, 0)
"""An alpha that grows from the left to the right."""


@pytest.fixture
def folder(tmp_path):
    write_pictures(tmp_path)
    write(tmp_path / "clear.png", np.dstack([blocks(5, 48, 64), SLOPE]))
    return tmp_path


@pytest.mark.parametrize("form", ["png", "webp"])
def test_the_result_is_as_transparent_as_the_content(folder, form):
    clear, opaque = run(plan(folder, MANIFEST + f"output: {{alpha: true, format: {form}}}"))
    made = picture_of(clear)
    assert made.shape == (24, 32, 4)
    assert np.abs(made[..., 3].astype(int) - resize_to(SLOPE, 32, 24)).max() <= 1
    assert clear["picture_alpha"] is True
    assert picture_of(opaque).shape == (24, 32, 3)
    assert opaque["picture_alpha"] is False


def test_the_colours_are_those_without_alpha(folder):
    kept, _ = run(plan(folder, MANIFEST + "output: {alpha: true}"))
    flat, _ = run(plan(folder, MANIFEST))
    assert picture_of(flat).shape == (24, 32, 3)
    assert (picture_of(kept)[..., :3] == picture_of(flat)).all()
    assert kept["loss"] == flat["loss"]
    assert kept["cell_id"] != flat["cell_id"]


def test_an_opaque_alpha_is_none(folder):
    write(folder / "clear.png", np.dstack([blocks(5, 48, 64), np.full_like(SLOPE, 255)]))
    row, _ = run(plan(folder, MANIFEST + "output: {alpha: true}"))
    assert picture_of(row).shape[2] == 3
    assert row["picture_alpha"] is False


def test_alpha_that_is_not_asked_for_changes_no_id(folder):
    ids = plan(folder, MANIFEST).plan.cells.ids
    assert plan(folder, MANIFEST + "output: {alpha: false}").plan.cells.ids == ids
