"""`init: {uri: ...}`: the optimisation starts from a given picture, which is part of the cell by its bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cells import STYLES, blocks, picture, pictures_of, request, small
from sweeps import TINY, picture_of, plan, rows, run, write, write_pictures

from nst.config import DoodleConfig, GatysConfig, MrfConfig
from nst.errors import ManifestError
from nst.pictures.images import resize_to
from nst.pictures.masks import plain_labels
from tasks.pages.gallery.settings import places
from tasks.work.stylize import Stylist

MANIFEST = """\
name: given
contents: cat.png
styles: waves.png
method: {name: gatys, %s, init: %s}
"""
WEIGHTLESS = "content_weight: 0, style_weight: 0, tv_weight: 0, steps: 1"
ONE_REGION = plain_labels("#ff0000")


def manifest(init, settings=TINY):
    return MANIFEST % (settings, init)


@pytest.mark.parametrize(
    ("method", "changes", "masks"),
    [
        (GatysConfig, {}, {}),
        (MrfConfig, {"pyramid": {"levels": 1}}, {}),
        (DoodleConfig, {"pyramid": {"levels": 1}}, {"mask": ONE_REGION, "style_masks": (ONE_REGION,)}),
    ],
)
def test_without_a_loss_the_picture_is_the_given_one_at_the_size_of_the_content(method, changes, masks):
    start = picture(50, 64, 80)
    weightless = {"content_weight": 0, "style_weight": 0, "tv_weight": 0, "steps": 1}
    config = small(method, **weightless, init={"uri": "start.png"}, **changes)
    (made,) = pictures_of(request(config, styles=STYLES[:1], start=start, **masks))
    assert np.abs(made - resize_to(start.array, 40, 32)).max() <= 1


def test_a_share_of_noise_is_mixed_into_a_given_picture_too():
    start, share = picture(50), {"noise": 0.25, "seed": 3}
    weightless = {"content_weight": 0, "style_weight": 0, "tv_weight": 0, "steps": 1}
    config = small(GatysConfig, **weightless, **share, init={"uri": "start.png"})
    (made,) = pictures_of(request(config, start=start))
    noise = made / 255 - 0.75 * start.array / 255
    assert noise.min() >= -0.01
    assert noise.max() <= 0.26
    assert noise.std() == pytest.approx(0.25 / 12**0.5, rel=0.05)


def test_a_start_is_read_and_recorded_by_its_digest(tmp_path):
    digest = write(write_pictures(tmp_path) / "start.png", blocks(9, 20, 20))
    prepared = plan(tmp_path, manifest("{uri: start.png}"))
    (row,) = run(prepared)
    assert row["init_digest"] == digest
    assert row["init_uri"] == "start.png"
    assert row["init"] is None
    (other,) = run(plan(tmp_path, manifest("content")))
    assert (other["init"], other["init_uri"], other["init_digest"]) == ("content", None, None)
    assert (picture_of(row) != picture_of(other)).any()


def test_a_start_counts_by_its_bytes_and_not_by_its_name(tmp_path):
    write_pictures(tmp_path)
    first = plan(tmp_path, manifest("{uri: start.png}")).plan.cells.ids
    (tmp_path / "copy.png").write_bytes((tmp_path / "start.png").read_bytes())
    assert plan(tmp_path, manifest("{uri: copy.png}")).plan.cells.ids == first
    write(tmp_path / "start.png", blocks(10, 20, 20))
    assert plan(tmp_path, manifest("{uri: start.png}")).plan.cells.ids != first
    assert plan(tmp_path, manifest("content")).plan.cells.ids != first


def test_a_changed_start_is_told_as_a_changed_input(tmp_path):
    write_pictures(tmp_path)
    run(plan(tmp_path, manifest("{uri: start.png}")))
    write(tmp_path / "start.png", blocks(10, 20, 20))
    assert plan(tmp_path, manifest("{uri: start.png}")).plan.reasons["input changed"] == 1


def test_starts_are_an_axis_and_never_share_a_batch(tmp_path):
    write_pictures(tmp_path)
    text = (
        manifest("content") + "sweep: {init: [content, noise, {uri: start.png}, {uri: dog.png}], style_weight: [1, 2]}"
    )
    prepared = plan(tmp_path, text)
    starts = [{cell.start.name if cell.start else None for cell in batch.cells} for batch in prepared.plan.batches()]
    assert starts == [{None}, {None}, {"start"}, {"dog"}]
    found = [(row["init"], row["init_uri"]) for row in run(prepared)][::2]
    assert found == [("content", None), ("noise", None), (None, "start.png"), (None, "dog.png")]


def test_a_start_that_is_cut_off_costs_its_cell_alone(tmp_path):
    start = write_pictures(tmp_path) / "start.png"
    start.write_bytes(start.read_bytes()[:-40])
    prepared = plan(tmp_path, manifest("content") + "sweep: {init: [content, {uri: start.png}]}")
    stylist = Stylist(prepared.root, "cpu")
    outcomes = [stylist.run(prepared.job(batch)) for batch in prepared.plan.batches()]
    assert [(len(outcome.done), len(outcome.failed)) for outcome in outcomes] == [(1, 0), (0, 1)]
    (failure,) = rows(prepared, "failures")
    assert failure["error_class"] == "InputError"
    assert "start.png" in failure["error_message"]


def test_a_start_that_is_no_picture_is_refused_at_its_place(tmp_path):
    (write_pictures(tmp_path) / "start.png").write_bytes(b"no picture")
    with pytest.raises(ManifestError, match=r"m\.yaml:4:.*start\.png: not a picture in a known format"):
        plan(tmp_path, manifest("content") + "sweep: {init: [content, {uri: start.png}]}")


def test_a_start_that_is_not_there_is_refused_at_its_place(tmp_path):
    write_pictures(tmp_path)
    with pytest.raises(ManifestError, match=r"m\.yaml:4:.*absent\.png"):
        plan(tmp_path, manifest("{uri: absent.png}"))


def test_the_gallery_shows_the_manifest_of_a_given_start(tmp_path):
    found = places("gatys")
    assert found["init"].keys == ["init"]
    assert found["init_uri"].keys == ["init", "uri"]
    write_pictures(tmp_path)
    (row,) = run(plan(tmp_path, manifest("{uri: start.png}")))
    assert json.loads(row["style_layers"]) == {"relu1_1": 1.0}
