"""Training as a system: what is recorded, what an interruption costs, what a sick training leaves behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from trainings import write_manifest, write_pictures

from nst.config.training import TRAINING_CONFIGS
from nst.errors import StorageError
from nst.images import decode
from tasks.catalog.fsck import fsck
from tasks.checkpoints import Checkpoints, Progress
from tasks.store import open_store
from tasks.train_planning import prepare_training
from tasks.training import train


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """A CPU's sums depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    write_pictures(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


def job_of(folder, root, **changes):
    prepared = prepare_training(write_manifest(folder, **changes), str(root))
    return prepared, prepared.job(prepared.specs[0])


def run(folder, root, *, stop_at=None, **changes):
    """Train; with `stop_at`, the store gives up at that step."""
    prepared, job = job_of(folder, root, **changes)
    seen = []

    def on_step(step, _):
        seen.append(step)
        if step == stop_at:
            raise StorageError("gone")

    if stop_at:
        with pytest.raises(StorageError):
            train(job, prepared.catalog, "cpu", on_step)
        return seen
    trained = train(job, prepared.catalog, "cpu", on_step)
    prepared.catalog.publish("models")
    prepared.catalog.publish("traces")
    prepared.catalog.publish("failures")
    return trained, seen


@pytest.fixture(scope="module")
def whole(folder):
    """A root with one model, trained without interruption."""
    root = folder / "whole"
    trained, _ = run(folder, root)
    assert trained.failure is None
    return root


def only_model(root):
    models = pd.read_parquet(root / "catalog/models")
    assert len(models) == 1
    return models.iloc[0]


def test_a_row_tells_the_whole_truth(whole, folder):
    row = only_model(whole)
    weights = Path(row.weights_uri.removeprefix("file://"))
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == row.weights_digest == weights.stem
    assert row.weights_bytes == weights.stat().st_size
    assert row.parameters == sum(tensor.numel() for tensor in load_file(weights).values())
    assert (row.family, row["name"], row.steps, row.steps_done, row.width) == ("johnson", "tiny", 12, 12, 4)
    assert json.loads(row.style_names) == ["dots"]
    assert json.loads(row.style_digests) == [hashlib.sha256((folder / "styles/dots.png").read_bytes()).hexdigest()]
    assert TRAINING_CONFIGS["johnson"].model_validate_json(row.config).steps == 12
    assert row.photographs == 22  # a tenth of 24 is held out
    assert row.validation_pictures == 2
    assert row.photographs_skipped == 0
    assert row.images_per_second == pytest.approx(12 * 2 / row.seconds)
    assert -1 <= row.validation_ssim_content <= 1
    assert json.loads(row.validation_losses)["style_loss"] > 0
    assert row.loss == pytest.approx(row.content_loss + row.style_loss + row.tv_loss, rel=1e-5)
    assert row.resumed == 0
    assert row.attempt == 1


def test_the_loss_curve_is_in_the_traces_and_falls(whole):
    traces = pd.read_parquet(whole / "catalog/traces")
    assert traces.step.tolist() == list(range(1, 13))
    assert set(traces.cell_id) == {only_model(whole).model_id}
    assert traces.loss.iloc[-3:].mean() < traces.loss.iloc[0]


def test_samples_show_the_photographs_above_what_is_made_of_them(whole):
    row = only_model(whole)
    samples = sorted((whole / f"models/samples/{row.model_id}").iterdir())
    assert [int(path.stem) for path in samples] == [6, 12]
    assert row.samples_uri.endswith(samples[-1].name)
    assert decode(samples[-1].read_bytes()).shape == (2 * 256, 2 * 256, 3)


def test_checkpoints_are_gone_when_the_model_is_there(whole):
    assert not list((whole / "state/models").rglob("*.safetensors"))


def test_fsck_checks_the_weights(whole, tmp_path):
    assert fsck(open_store(str(whole))).ok
    path = Path(only_model(whole).weights_uri.removeprefix("file://"))
    data = path.read_bytes()
    try:
        path.write_bytes(data[:-1] + b"?")
        assert "do not have their digest" in fsck(open_store(str(whole))).problems[0].what
        path.unlink()
        assert "are missing" in fsck(open_store(str(whole))).problems[0].what
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize("stop_at", [1, 5, 9, 12])
def test_an_interrupted_training_loses_an_interval_at_most_and_no_bit(whole, folder, tmp_path, stop_at):
    run(folder, tmp_path, stop_at=stop_at)
    trained, seen = run(folder, tmp_path)
    assert seen[:1] == ([(stop_at - 1) // 3 * 3 + 1] if stop_at > 1 else [1])
    assert trained.steps == 12
    ours, theirs = only_model(tmp_path), only_model(whole)
    assert ours.weights_digest == theirs.weights_digest
    assert ours.model_id == theirs.model_id
    assert ours.resumed == (stop_at > 3)
    curves = [pd.read_parquet(root / "catalog/traces").drop(columns="month") for root in (tmp_path, whole)]
    pd.testing.assert_frame_equal(*curves)


def test_another_rhythm_of_checkpoints_goes_on_with_the_same_training(whole, folder, tmp_path):
    run(folder, tmp_path, stop_at=8)
    _, seen = run(folder, tmp_path, checkpoint_every=100, validate_every=100)
    assert seen[0] == 7
    ours, theirs = (load_file(only_model(root).weights_uri.removeprefix("file://")) for root in (tmp_path, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # the file also tells the rhythm


def test_a_sick_training_stops_and_leaves_evidence(folder, tmp_path):
    trained, seen = run(folder, tmp_path, learning_rate=10, steps=400, checkpoint_every=1)
    assert trained.failure is not None
    assert trained.failure.error_class == "Unhealthy"
    assert len(seen) < 400
    row = pd.read_parquet(tmp_path / "catalog/failures").iloc[0]
    assert row.model_id == trained.model_id
    assert row.method == "training"
    assert row.attempt == 1
    evidence = json.loads(Path(row.evidence_uri.removeprefix("file://")).read_text())
    assert evidence["why"] in row.error_message
    assert evidence["losses"]
    assert evidence["config"]["learning_rate"] == 10
    assert not (tmp_path / "catalog/models/month=2026-11").exists()
    prepared, job = job_of(folder, tmp_path, learning_rate=10, steps=400, checkpoint_every=1)
    assert job.attempt == 2
    assert prepared.state(job.spec) == "failed before"  # its checkpoints are suspect and gone


def test_a_bad_style_fails_its_own_training(folder, tmp_path):
    (folder / "styles/broken.png").write_bytes(b"no picture")
    trained, _ = run(folder, tmp_path, styles="styles/broken.png")
    (folder / "styles/broken.png").unlink()
    assert trained.failure is not None
    assert trained.failure.error_class == "InputError"
    assert "broken.png" in pd.read_parquet(tmp_path / "catalog/failures").error_message[0]


def test_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(store):
    checkpoints = Checkpoints(store, "0" * 32)
    assert checkpoints.latest() is None
    for steps in (5, 10, 15):
        checkpoints.put(steps, {"x": torch.tensor([float(steps)])}, Progress(seconds=steps / 2, resumed=1))
    keys = [stat.key for stat in store.list("state/models/")]
    assert len(keys) == 2
    saved = checkpoints.latest()
    assert saved is not None
    assert saved.tensors.keys() == {"x"}
    assert saved.tensors["x"].item() == 15
    assert (saved.progress.seconds, saved.progress.resumed, saved.progress.curve) == (7.5, 1, [])
    store.put(keys[-1], store.get(keys[-1])[:-1] + b"?")
    assert checkpoints.latest().tensors["x"].item() == 10
    checkpoints.clear()
    assert not store.list("state/models/")
