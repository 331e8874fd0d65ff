"""`nst judge`: what it adds to a root, what it leaves alone, and what it says of what it cannot judge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from cells import blocks, picture
from safetensors.torch import load_file, save_file
from sweeps import TINY, plan, run, write_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from nst.backbones import random_weights
from nst.config import FeedforwardConfig, GatysConfig
from nst.errors import InputError
from nst.pictures.images import decode
from tasks.layout import picture_key
from tasks.models.judges import JudgeWeights, build_judge, lpips_file, named_weights
from tasks.pages.rows import sweep_rows
from tasks.planning.registration import register_sweep
from tasks.removal import plan_removal, remove
from tasks.work.judge_sweep import judge_sweep
from tasks.work.judging import Judging, judged_at_once
from tasks.work.stylize import Stylist

if TYPE_CHECKING:
    from tasks.root import Root


SQUEEZENET, TORCHVISION, CAFFE = 0.2613, 0.2538, 0.1914
"""Root mean square of the first layer of the weights that judgements are made with."""


def known(weights, first):
    """Return random weights that pass for known ones by their first layer."""
    layer = weights["features.0.weight"]
    return weights | {"features.0.weight": layer * (first / layer.square().mean().sqrt())}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> tuple[str, str, str]:
    """Files of two SqueezeNets and of a VGG-19 with random weights."""
    folder, files = tmp_path_factory.mktemp("weights"), []
    for name, seed, layer in (("squeezenet", 0, "fire9"), ("squeezenet", 1, "fire9"), ("vgg19", 0, "relu3_1")):
        files.append(str(folder / f"{name}{seed}.safetensors"))
        save_file(
            known(random_weights(name, seed, layer), SQUEEZENET if name == "squeezenet" else TORCHVISION), files[-1]
        )
    return files[0], files[1], files[2]


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two contents and one style, done and registered."""
    write_pictures(tmp_path)
    method = TINY.replace("size: 32", "size: 48")
    prepared = plan(
        tmp_path, f"{{name: s, contents: [cat.png, dog.png], styles: waves.png, method: {{name: gatys, {method}}}}}"
    )
    register_sweep(prepared)
    run(prepared)
    prepared.root.catalog.publish("sweeps")
    return prepared


def named(root: Root, squeezenet: str, vgg19: str = "") -> JudgeWeights:
    return named_weights(squeezenet, vgg19, "torchvision", root.store)


def judge(prepared: Any, *files: str) -> Any:
    return judge_sweep(prepared.root, prepared.plan.sweep_id, named(prepared.root, *files), "cpu", lambda *_: None)


def files_of(root: Root, table: str) -> dict[Path, bytes]:
    folder = Path(root.uri.removeprefix("file://")) / "catalog" / table
    return {path: path.read_bytes() for path in folder.rglob("*.parquet")}


def test_each_picture_is_judged_once_by_each_judge_and_results_stay_as_they_are(sweep, weights):
    before = files_of(sweep.root, "results")
    first = judge(sweep, weights[0], weights[2])
    assert (first.judged, first.known, first.failed) == (2, 0, [])
    again = judge(sweep, weights[0], weights[2])
    assert (again.judged, again.known) == (0, 2)
    assert judge(sweep, weights[1]).judged == 2
    rows = pd.read_parquet(f"{sweep.root.uri.removeprefix('file://')}/catalog/judgements")
    assert len(rows) == 4
    assert rows.judgement_id.is_unique
    assert sorted(rows.groupby("judge").cfsd_content.count()) == [0, 2]
    assert files_of(sweep.root, "results") == before


def test_values_are_those_of_the_judge_on_the_picture_as_saved(sweep, weights):
    judge(sweep, weights[0])
    row = sweep_rows(sweep.root.catalog, sweep.plan.sweep_id).iloc[0]
    built, identity = build_judge(named(sweep.root, weights[0]), "cpu")
    stylist = Stylist(sweep.root, "cpu")
    cell = next(cell for batch in sweep.plan.batches() for cell in batch.cells if cell.cell_id == row.cell_id)
    request = stylist._requests.of(cell)
    content, style = request.content, request.styles
    saved = decode(sweep.root.store.get(picture_key(row.picture_digest, "png")))
    expected = built.measure(saved, content, style, [1.0])
    assert {name: row[name] for name in expected} == expected
    assert row.judge == identity.digest
    assert bool(row.judge_neutral)


def test_the_fullest_and_then_the_newest_judgement_stands_in_the_rows_of_the_page_and_the_export(sweep, weights):
    judges = []
    for files in ((weights[0],), (weights[1],), (weights[0], weights[2]), (weights[1],)):
        judge(sweep, *files)
        rows = sweep_rows(sweep.root.catalog, sweep.plan.sweep_id)
        judges.append(set(rows.judge))
        assert ("cfsd_content" in rows) == (len(judges) > 2)
    first, second, third, last = judges
    assert first.isdisjoint(second)
    assert third.isdisjoint(first | second)
    assert last == third


def test_a_picture_that_is_gone_or_changed_is_named_and_the_others_are_judged(sweep, weights):
    rows = sweep_rows(sweep.root.catalog, sweep.plan.sweep_id)
    sweep.root.store.delete(picture_key(rows.picture_digest[0], "png"))
    found = judge(sweep, weights[0])
    assert found.judged == 1
    assert len(found.failed) == 1
    assert found.failed[0].startswith(rows.cell_id[0][:8])


def test_the_input_of_a_vgg_is_told_by_its_weights_and_belongs_to_the_judge(sweep, weights, tmp_path):
    caffe = str(tmp_path / "caffe.safetensors")
    save_file(known(load_file(weights[2]), CAFFE), caffe)
    found = {}
    for file, inputs in ((weights[2], ""), (caffe, ""), (caffe, "caffe_bgr")):
        built, identity = build_judge(named_weights(weights[0], file, inputs, sweep.root.store), "cpu")
        values = built.measure(blocks(1, 48, 48), picture(2, 48, 48), [picture(3, 48, 48)])
        found[identity.digest] = identity.vgg19.split(" ")[0], "cfsd_content" in values
    assert list(found.values()) == [("torchvision", True), ("caffe", False), ("caffe_bgr", False)]


@pytest.mark.parametrize("scale", [0.0, 0.5, 1e4])
def test_weights_that_are_not_those_of_the_judge_are_refused(sweep, weights, tmp_path, scale):
    file = str(tmp_path / "other.safetensors")
    save_file({name: tensor * scale for name, tensor in load_file(weights[0]).items()}, file)
    with pytest.raises(InputError, match="root mean square of its first layer"):
        build_judge(named(sweep.root, file), "cpu")


def test_values_that_are_not_finite_are_no_judgement(sweep, weights, tmp_path):
    file = str(tmp_path / "huge.safetensors")
    right = load_file(weights[0])
    first = "features.0.weight"
    save_file({name: tensor * (1.0 if name == first else 1e20) for name, tensor in right.items()}, file)
    found = judge(sweep, file)
    assert "not finite" in found.failed[0]
    judged = sweep.root.catalog.read("judgements", ["cell_id"])["cell_id"].to_pylist()
    assert len(judged) == 2 - len(found.failed)
    assert not any(found.failed[0].startswith(cell[:8]) for cell in judged)


def test_what_is_judged_before_a_stop_is_kept(sweep, weights):
    asked = iter([False, True])
    arguments = (sweep.root, sweep.plan.sweep_id, named(sweep.root, weights[0]), "cpu", lambda *_: None)
    assert judge_sweep(*arguments, stopped=lambda: next(asked)).judged == 1
    assert (judge(sweep, weights[0]).judged, judge(sweep, weights[0]).known) == (1, 2)


def test_a_file_of_another_network_is_refused_with_its_name(sweep, weights):
    with pytest.raises(InputError, match="holds no squeezenet that can judge"):
        build_judge(named(sweep.root, weights[2]), "cpu")
    assert not files_of(sweep.root, "judgements")


def test_removing_a_sweep_takes_its_judgements_along(sweep, weights):
    judge(sweep, weights[0])
    remove(sweep.root, plan_removal(sweep.root, sweep.plan.sweep_id, "s"))
    assert sweep.root.catalog.read("judgements").num_rows == 0


def test_the_command_judges_by_name_and_says_what_is_missing(sweep, weights, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    args = ["judge", "s", "--root", sweep.root.uri, "--squeezenet", weights[0]]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert "2 pictures judged" in result.output
    assert "not at hand: VGG-19's weights" in result.output
    page = Path(re.search("page: +file://(.*)", result.output)[1])
    assert "transfer_score" in page.read_text()
    assert "0 pictures judged, 2 judged before" in CliRunner().invoke(app, args).output


def test_without_any_judge_nothing_is_written(sweep, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr("tasks.models.judges.fetch_weights", lambda _: None)  # as without a network
    with pytest.raises(InputError, match="no judge is at hand"):
        named(sweep.root, "")
    assert not files_of(sweep.root, "judgements")


def test_a_run_judges_its_own_pictures_where_the_weights_are_at_hand(sweep, weights):
    stylist = Stylist(sweep.root, "cpu")
    stylist._judging = Judging("cpu", named(sweep.root, weights[0]))
    batch = next(iter(sweep.plan.batches()))
    computed = stylist.compute(sweep.job(batch))
    (cell, request), outcome = computed.ready[0], computed.stylized[0]
    row = stylist._write_picture(sweep.job(batch), cell, request, outcome)
    assert row["judge_neutral"] is True
    assert 0 <= row["transfer_score"] <= 1
    assert ("lpips_content" in row) == (lpips_file() is not None)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GatysConfig(), True),
        (GatysConfig(backbone={"weights": "embedded"}), True),
        (GatysConfig(backbone={"weights": "draft"}), False),
        (FeedforwardConfig(), False),
    ],
)
def test_what_takes_little_longer_than_its_judgement_is_judged_later(config, expected):
    assert judged_at_once(config) == expected
