"""`nst judge`: what it adds to a root, what it leaves alone, and what it says of what it cannot judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from safetensors.torch import save_file
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


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> tuple[str, str, str]:
    """Files of two SqueezeNets and of a VGG-19 with random weights."""
    folder, files = tmp_path_factory.mktemp("weights"), []
    for name, seed, layer in (("squeezenet", 0, "fire9"), ("squeezenet", 1, "fire9"), ("vgg19", 0, "relu3_1")):
        files.append(str(folder / f"{name}{seed}.safetensors"))
        save_file(random_weights(name, seed, layer), files[-1])
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
    content, style = stylist._pixels(cell.content), stylist._styles(cell.style)
    picture = decode(sweep.root.store.get(picture_key(row.picture_digest, "png")))
    expected = built.measure(picture, content, style, [1.0])
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
    assert "0 pictures judged, 2 were judged before" in CliRunner().invoke(app, args).output


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
