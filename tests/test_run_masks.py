"""Masks from the manifest to the catalog: found, part of the cell, read, used, on record."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest
from orders import planned

from nst.config import GatysConfig
from nst.errors import ManifestError
from nst.identity import address, cell_id
from nst.pictures.images import encode
from nst.records import Cell, ImageRef, MaskRef, OutputFormat, StyleRef
from tasks.pages.export import export_sweep
from tasks.pages.report import report
from tasks.planning.registration import register_sweep
from tasks.work.stylize import Stylist

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)
METHOD = """{name: gatys, size: 32, steps: 2, content_layers: relu1_1, style_layers: relu1_1,
  backbone: {name: vgg16, weights: random}}"""
MANIFEST = f"""\
name: masked
contents: {{uri: cat.png, mask: two.png}}
styles:
  - {{uri: waves.png, mask: two.png, name: same}}
  - name: several
    images:
      - {{uri: waves.png, mask: '#ff0000', weight: 3}}
      - {{uri: cat.png, mask: '#0000FF'}}
method: {METHOD}
"""


def sides(left, right):
    return np.array([[left] * 16 + [right] * 16] * 24, np.uint8)


def write(path, array):
    path.write_bytes(encode(array, OutputFormat(), {}))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("cat", "waves")):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        write(tmp_path / f"{name}.png", coarse.repeat(4, 0).repeat(4, 1))
    write(tmp_path / "two.png", sides(RED, BLUE))
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path


def plan(folder, text=None):
    if text is not None:
        (folder / "m.yaml").write_text(text)
    return planned(folder / "m.yaml", folder / "out")


def run(prepared):
    stylist = Stylist(prepared.root, "cpu")
    outcomes = [stylist.run(prepared.job(batch)) for batch in prepared.plan.batches()]
    for table in ("results", "failures", "sweeps"):
        prepared.root.catalog.publish(table)
    return outcomes


def _page(prepared):
    return prepared.root.store.get(report(prepared).uri.removeprefix(f"{prepared.root.uri}/")).decode()


def test_masks_are_on_record(folder):
    prepared = plan(folder)
    register_sweep(prepared)
    (outcome,) = run(prepared)
    assert len(outcome.done) == 2
    rows = {row["style_name"]: row for row in prepared.root.catalog.read("results").to_pylist()}
    digest = hashlib.sha256((folder / "two.png").read_bytes()).hexdigest()
    same, several = rows["same"], rows["several"]
    assert same["content_mask_uri"].endswith("/two.png")
    assert same["content_mask_digest"] == digest
    assert json.loads(same["style_mask_digests"]) == [digest]
    assert json.loads(several["style_mask_uris"]) == json.loads(several["style_mask_digests"]) == ["#ff0000", "#0000ff"]
    assert plan(folder).plan.to_do == 0
    assert "two.png" in _page(prepared)


def test_a_changed_mask_is_another_cell_at_the_same_address(folder):
    before = plan(folder)
    run(before)
    write(folder / "two.png", sides(BLUE, RED))
    after = plan(folder)
    assert not set(before.plan.cells.ids) & set(after.plan.cells.ids)
    assert after.plan.reasons["input changed"] == 2
    swapped = plan(folder, MANIFEST.replace("'#0000FF'", "'#1000ff'"))
    assert len(set(swapped.plan.cells.ids) - set(after.plan.cells.ids)) == 1


def test_a_mask_changed_since_planning_fails_with_its_name(folder):
    prepared = plan(folder)
    write(folder / "two.png", sides(GREEN, RED))
    (outcome,) = run(prepared)
    assert all("two.png: the file has changed" in failure.message for failure in outcome.failed)
    assert len(outcome.failed) == 2


def test_a_photograph_as_a_mask_is_refused_where_it_is_named(folder):
    write(folder / "noise.png", np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    with pytest.raises(ManifestError, match=r"m.yaml:2:32: .*noise.png: a mask of"):
        plan(folder, MANIFEST.replace("cat.png, mask: two.png", "cat.png, mask: noise.png"))


def test_a_region_without_style_is_refused_where_the_style_is_named_unless_it_is_excluded(folder):
    lacking = "  - {uri: waves.png, mask: '#ff0000', name: lacking}\nmethod:"
    text = MANIFEST.replace("method:", lacking, 1)
    message = "has the regions #0000ff, #ff0000, the style's #ff0000: nothing for #0000ff"
    with pytest.raises(ManifestError, match=rf"m.yaml:9:28: .*content 'cat', style 'lacking': .*{message}"):
        plan(folder, text)
    assert plan(folder, f"{text}sweep:\n  exclude: [{{style: lacking}}]\n").plan.total == 2


def test_a_content_may_be_a_mask_alone(folder):
    text = (
        MANIFEST.partition("styles:")[0].replace("uri: cat.png, ", "")
        + f"""\
styles: {{uri: waves.png, mask: two.png}}
method: {METHOD.replace("gatys", "doodle, pyramid: {levels: 1}")}
"""
    )
    prepared = plan(folder, text)
    register_sweep(prepared)
    (outcome,) = run(prepared)
    assert outcome.failed == ()
    (row,) = prepared.root.catalog.read("results").to_pylist()
    assert (row["content_name"], row["content_uri"], row["content_digest"]) == ("two", None, None)
    assert row["content_mask_uri"].endswith("/two.png")
    assert (row["picture_width"], row["picture_height"]) == (32, 24)
    assert row["content_loss"] is row["ssim_content"] is None
    page = _page(prepared)
    heads = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])["heads"]
    assert heads["content"]["two"].startswith("data:image")
    assert export_sweep(prepared.root.catalog, prepared.plan.sweep_id, folder / "files").pictures == 1
    assert (folder / "files/two__waves.png").exists()


def test_a_mask_that_is_not_there_is_told_where_the_manifest_names_it(folder):
    with pytest.raises(ManifestError, match=r"m.yaml:2.*nowhere.png names no file"):
        plan(folder, MANIFEST.replace("cat.png, mask: two.png", "cat.png, mask: nowhere.png"))


def test_ids_and_addresses_tell_masks_apart_and_from_none():
    def image(mask):
        return ImageRef("a", "a.png", "0" * 64, mask)

    def ids(content, *styles):
        cell = (image(content), StyleRef("s", tuple(image(mask) for mask in styles), (0.5,) * len(styles)))
        return cell_id(GatysConfig(), *cell, "w", OutputFormat()), address_of(*cell)

    def address_of(content, style):
        return address(Cell("x", content, style, GatysConfig()))

    one, other = MaskRef("m.png", "1" * 64), MaskRef("n.png", "2" * 64)
    red = MaskRef("#ff0000", "#ff0000")
    masked = [(None, None, None), (one, one, one), (one, one, other), (other, one, one), (one, red, one),
              (red, one, one), (None, one, None), (None, None, one), (one, None, None)]  # fmt: skip
    for found in zip(*(ids(*case) for case in masked), strict=True):
        assert len(set(found)) == len(masked)
    moved = MaskRef("elsewhere.png", one.digest)
    assert ids(moved, one, one)[0] == ids(one, one, one)[0]
    assert ids(moved, one, one)[1] != ids(one, one, one)[1]
