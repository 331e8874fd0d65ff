"""`size: original`: the picture has the size of its content, whatever that is."""

from __future__ import annotations

import numpy as np
import pytest
from cells import CONTENT, request, small
from cells import run as run_batch
from sweeps import TINY, plan, rows, run, write, write_pictures

from nst.config import DreamConfig, FeedforwardConfig, GatysConfig, InvertConfig, MrfConfig
from nst.methods.start import picture_size
from nst.pictures.images import MAX_SIDE, Pixels
from nst.planning.grouping import _shares_content
from tasks.work.stylize import Stylist

MANIFEST = f"""\
name: original
contents: [cat.png, dog.png]
styles: waves.png
method: {{name: gatys, {TINY.replace("size: 32", "size: original, pyramid: {levels: 1}")}}}
"""


def test_every_picture_has_the_size_of_its_content(tmp_path):
    found = run(plan(write_pictures(tmp_path), MANIFEST))
    assert [(row["content_name"], row["picture_width"], row["picture_height"]) for row in found] == [
        ("cat", 40, 30), ("dog", 25, 50),
    ]  # fmt: skip


def test_the_row_tells_the_size_in_pixels_and_the_cost_that_it_had(tmp_path):
    cat, dog = run(plan(write_pictures(tmp_path), MANIFEST))
    assert (cat["size"], dog["size"]) == (40, 50)
    assert (cat["cost"], dog["cost"]) == pytest.approx((40 * 30 * 2, 25 * 50 * 2))
    short = MANIFEST.replace("size: original", "size: original, resize: short")
    assert [row["size"] for row in run(plan(tmp_path, short))] == [30, 25]


def test_the_picture_is_that_of_the_same_size_as_a_number(tmp_path):
    (cat, _) = run(plan(write_pictures(tmp_path), MANIFEST))
    (same,) = run(
        plan(tmp_path, MANIFEST.replace("[cat.png, dog.png]", "cat.png").replace("size: original", "size: 40"))
    )
    assert cat["picture_width"] == same["picture_width"]
    assert cat["loss"] == same["loss"]


def test_one_batch_never_mixes_sizes(tmp_path):
    text = MANIFEST + "batch_size: 8\nsweep: {style_weight: [1, 2]}\n"
    batches = list(plan(write_pictures(tmp_path), text).plan.batches())
    assert [[cell.content.name for cell in batch.cells] for batch in batches] == [["cat"] * 2, ["dog"] * 2]
    by_default = plan(tmp_path, MANIFEST + "sweep: {style_weight: [1, 2]}").plan.batches()
    assert [len(batch.cells) for batch in by_default] == [1, 1, 1, 1]  # a size not yet known may be a large one


def test_a_network_that_mixes_contents_does_not_mix_originals():
    assert not _shares_content(FeedforwardConfig(model="some"))
    assert _shares_content(FeedforwardConfig(model="some", size="original"))


def test_a_content_beyond_the_longest_side_costs_its_cell_alone(tmp_path):
    write(write_pictures(tmp_path) / "dog.png", np.zeros((1, MAX_SIDE + 1, 3), np.uint8))
    prepared = plan(tmp_path, MANIFEST.replace("[cat.png, dog.png]", "'[cd]*.png'"))  # one of several
    stylist = Stylist(prepared.root, "cpu")
    outcomes = [stylist.run(prepared.job(batch)) for batch in prepared.plan.batches()]
    assert sorted((len(outcome.done), len(outcome.failed)) for outcome in outcomes) == [(0, 1), (1, 0)]
    (failure,) = rows(prepared, "failures")
    assert failure["error_class"] == "InputError"
    assert "more than the 16384" in failure["error_message"]
    assert failure["size"] is None


def test_a_size_that_is_refused_costs_one_request_of_a_batch():
    """A ribbon whose short side is enlarged would be too large; the other request of the batch is done."""
    ribbon = Pixels("ribbon", np.zeros((2, 4000, 3), np.uint8))
    config = small(DreamConfig, layers=["relu1_1"], steps=1, pyramid={"levels": 1}, resize="short", size=1000)
    results = run_batch(
        request(config, ribbon, ()), request(small(DreamConfig, layers=["relu1_1"], steps=1), CONTENT, ())
    )
    assert "would be" in str(results[0].error)
    assert results[1].error is None


@pytest.mark.parametrize("method", [GatysConfig, MrfConfig, InvertConfig, DreamConfig, FeedforwardConfig])
def test_every_method_with_a_content_takes_its_size(method):
    assert picture_size(request(method(size="original"))) == (40, 32)


def test_the_cost_on_record_is_of_the_steps_that_were_taken(tmp_path):
    text = MANIFEST.replace("steps: 2", "steps: 50, early_stop: {tolerance: 0.9, patience: 2}")
    for row in run(plan(write_pictures(tmp_path), text)):
        assert 3 <= row["steps_done"] < 50
        assert row["cost"] == pytest.approx(row["picture_width"] * row["picture_height"] * row["steps_done"])
        assert (row["early_stop_tolerance"], row["early_stop_patience"]) == (0.9, 2)
