"""Judging where it was never tried: in a bucket, beside a run, after a repair, and by a run from torch's cache."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import torch
from orders import planned
from safetensors.torch import load_file, save_file
from sweeps import TINY, plan, rows, write_pictures
from test_judge_sweep import SQUEEZENET, known
from typer.testing import CliRunner

from flows.__main__ import app
from nst.backbones import random_weights
from nst.config.architectures import ARCHITECTURES
from nst.config.judgement import NEUTRAL
from tasks.catalog.judged import judged
from tasks.heartbeat import beating
from tasks.layout import picture_key
from tasks.models.backbone_weights import cache_fault
from tasks.models.judges import lpips_file, named_weights
from tasks.pages.rows import sweep_rows
from tasks.planning.registration import register_sweep
from tasks.root import open_root
from tasks.work.judge_sweep import judge_sweep
from tasks.work.stylize import Stylist

if TYPE_CHECKING:
    from pathlib import Path

METHOD = f"{{name: gatys, {TINY.replace('size: 32', 'size: 48')}}}"
SWEEP = f"name: s\ncontents: [cat.png, dog.png]\nstyles: waves.png\nmethod: {METHOD}\nbatch_size: 1\n"


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory) -> str:
    """A file of a SqueezeNet with random weights."""
    file = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(known(random_weights("squeezenet", 0, "fire9"), SQUEEZENET), file)
    return str(file)


@pytest.fixture
def folder(tmp_path) -> Path:
    (write_pictures(tmp_path) / "m.yaml").write_text(SWEEP)
    return tmp_path


def finish(prepared):
    register_sweep(prepared)
    stylist = Stylist(prepared.root, "cpu")
    for batch in prepared.plan.batches():
        assert not stylist.run(prepared.job(batch)).failed
    for table in ("results", "sweeps"):
        prepared.root.catalog.publish(table)


def judge(prepared, squeezenet, on_picture=lambda *_: None):
    root = open_root(prepared.root.uri)  # as another process has it
    weights = named_weights(squeezenet, "", "", root.store)
    return judge_sweep(root, prepared.plan.sweep_id, weights, "cpu", on_picture)


# ---- in a bucket -----------------------------------------------------------------------------------------------------
def test_pictures_in_a_bucket_are_judged_there(folder, squeezenet, s3):
    prepared = planned(folder / "m.yaml", s3.root("lab"))
    finish(prepared)
    arguments = ["judge", "s", "--root", prepared.root.uri, "--squeezenet", squeezenet]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert "2 pictures judged" in told.output
    assert f"page:     {prepared.root.uri}/gallery/s-" in told.output
    assert "0 pictures judged, 2 judged before" in CliRunner().invoke(app, arguments).output
    store = open_root(prepared.root.uri).store
    assert [stat.key for stat in store.list("catalog/judgements/") if stat.key.endswith(".parquet")]
    (page,) = [stat.key for stat in store.list("gallery/") if stat.key.endswith("index.html")]
    assert b"transfer_score" in store.get(page)


# ---- beside a run ----------------------------------------------------------------------------------------------------
def test_judging_beside_a_run_takes_what_is_done_and_harms_nothing(folder, squeezenet):
    prepared = planned(folder / "m.yaml", folder / "out")
    register_sweep(prepared)
    stylist = Stylist(prepared.root, "cpu")
    first, second = (prepared.job(batch) for batch in prepared.plan.batches())
    with beating(prepared.root.store, prepared.plan.sweep_id):
        stylist.run(first)
        prepared.root.catalog.publish("results")
        prepared.root.catalog.publish("sweeps")
        # The run commits and publishes its second picture while the first one is judged.
        beside = judge(prepared, squeezenet, lambda *_: (stylist.run(second), prepared.root.catalog.publish("results")))
    assert (beside.judged, beside.known, beside.failed) == (1, 0, [])
    after = judge(prepared, squeezenet)
    assert (after.judged, after.known, after.failed) == (1, 1, [])
    assert planned(folder / "m.yaml", folder / "out").plan.to_do == 0
    shown = sweep_rows(open_root(prepared.root.uri).catalog, prepared.plan.sweep_id)
    assert shown.judge.notna().all()
    assert len(open_root(prepared.root.uri).catalog.read("judgements")) == 2


# ---- after a repair --------------------------------------------------------------------------------------------------
def test_a_repaired_picture_gets_its_judgement_back_and_another_picture_gets_none(folder, squeezenet):
    prepared = planned(folder / "m.yaml", folder / "out")
    finish(prepared)
    judge(prepared, squeezenet)
    before = sweep_rows(prepared.root.catalog, prepared.plan.sweep_id)
    prepared.root.store.delete(picture_key(before.picture_digest[0], "png"))
    told = CliRunner().invoke(app, ["repair", "--yes", "--root", prepared.root.uri])
    assert told.exit_code == 0, told.output
    assert "dropped 1 row" in told.output
    again = planned(folder / "m.yaml", folder / "out")
    assert again.plan.to_do == 1
    finish(again)
    after = sweep_rows(open_root(prepared.root.uri).catalog, prepared.plan.sweep_id)
    assert list(after.picture_digest) == list(before.picture_digest)
    assert after.transfer_score[0] == before.transfer_score[0] is not None
    assert list(after.judge) == list(before.judge)
    assert judge(prepared, squeezenet).known == 2
    # On another device the picture may come out with other bytes: what was said of the lost one does not hold for it.
    table = pa.table({"cell_id": list(after.cell_id), "picture_digest": ["0" * 64, after.picture_digest[1]]})
    joined = judged(open_root(prepared.root.uri).catalog, table)["judge"].to_pylist()
    assert joined == [None, after.judge[1]]


# ---- by a run, from torch's cache ------------------------------------------------------------------------------------
def cached(shared_data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, *, as_ours: bool) -> dict[str, torch.Tensor]:
    """Put the real SqueezeNet into torch's cache, as far as half precision kept it, and return it.

    Its bytes are not torchvision's, whose digest the name of the file holds. With `as_ours` the table of backbones is
    told the digest of these bytes; otherwise they lie under torchvision's name.
    """
    tensors = {
        name: tensor.float()
        for name, tensor in load_file(shared_data / "weights/squeezenet1_1_torchvision.f16.safetensors").items()
    }
    folder = home / "hub/checkpoints"
    folder.mkdir(parents=True)
    theirs = folder / "squeezenet1_1-b8a52dc0.pth"  # torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    torch.save(tensors, theirs)
    monkeypatch.setenv("TORCH_HOME", str(home))
    if as_ours:
        digest = hashlib.sha256(theirs.read_bytes()).hexdigest()
        ours = theirs.with_name(f"squeezenet1_1-{digest[:8]}.pth")
        ours.write_bytes(theirs.read_bytes())
        monkeypatch.setitem(ARCHITECTURES, "squeezenet", replace(ARCHITECTURES["squeezenet"], file=ours.name))
    return tensors


def test_a_run_records_the_judgements_of_the_network_in_torchs_cache(folder, shared_data, monkeypatch, tmp_path):
    tensors = cached(shared_data, tmp_path / "torch", monkeypatch, as_ours=True)
    assert cache_fault("squeezenet") == ""
    prepared = planned(folder / "m.yaml", folder / "out")
    finish(prepared)
    found = rows(prepared, "results")
    columns = [name for name in NEUTRAL if name != "lpips_content" or lpips_file() is not None]
    assert all(found[0][name] is not None for name in columns)  # the other picture is too narrow for some of them
    assert found[0]["judge_neutral"] is True
    # The same weights as a file, by another way: the same numbers, of a judge with another name.
    save_file(tensors, tmp_path / "squeezenet.safetensors")
    later = judge(prepared, str(tmp_path / "squeezenet.safetensors"))
    assert (later.judged, later.failed) == (2, [])
    judgements = {row["cell_id"]: row for row in open_root(prepared.root.uri).catalog.read("judgements").to_pylist()}
    for row in found:
        own, other = ({name: known[name] for name in columns} for known in (row, judgements[row["cell_id"]]))
        assert own == pytest.approx(other)


def test_another_file_under_torchvisions_name_leaves_the_columns_empty_and_fails_no_cell(
    folder, shared_data, monkeypatch, tmp_path
):
    cached(shared_data, tmp_path / "torch", monkeypatch, as_ours=False)
    assert "is not torchvision's file" in cache_fault("squeezenet")
    prepared = plan(folder, SWEEP)
    finish(prepared)
    assert [row["transfer_score"] for row in rows(prepared, "results")] == [None, None]
