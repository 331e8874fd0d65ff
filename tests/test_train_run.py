"""Training manifests and trained models through the real command and the real order of steps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from orders import planned
from trainings import TRAINING, write_manifest, write_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from flows.engine import InlineEngine
from flows.order.night import NightFailed, run_night
from nst.errors import ManifestError, UserError
from nst.pictures.images import decode, read_provenance
from tasks.fsck.check import fsck
from tasks.fsck.orphans import find_orphans, store_time
from tasks.models.card import model_card, model_rows
from tasks.root import open_root

pytestmark = pytest.mark.xdist_group("train_run")  # its sweep runs once

SWEEP = """\
name: painted
contents: photographs/[01].png
styles: styles/*.png
method: {name: feedforward, model: tiny.yaml, size: 48}
sweep: {alpha: [0.5, 1]}
"""


def nst(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a root `out`, in which a sweep ran over the models of two training manifests, one of them sick."""
    folder = tmp_path_factory.mktemp("models")
    write_pictures(folder)
    write_manifest(folder, styles="styles/*.png", steps=4)
    (folder / "broken.png").write_bytes(b"no picture")
    write_manifest(folder, "sick", styles="styles/*.png", top={"photographs": "broken.png"})
    (folder / "painted.yaml").write_text(SWEEP)
    (folder / "both.yaml").write_text(SWEEP.replace("alpha:", "model: [tiny.yaml, sick.yaml], alpha:"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        output = nst("run", "both.yaml", "--inline", "--devices", "cpu", code=1)
        assert "8 done" in output
        assert "8 failed" in output
        assert "is not trained" in output
        yield folder


def table(folder, name):
    return pd.read_parquet(folder / "out/catalog" / name)


def test_a_sweep_trains_each_model_once_and_paints_with_it(folder):
    models, results = table(folder, "models"), table(folder, "results")
    assert sorted(models.style_names) == ['["dots"]', '["stripes"]']
    assert len(results) == 8
    for style, painted in results.groupby("style_name"):
        model = models[models.style_names == f'["{style}"]'].iloc[0]
        assert set(painted.model_id) == {model.model_id}
        assert set(painted.weights_digest) == {model.weights_digest}
        assert painted.picture_digest.is_unique
    assert results.style_loss.isna().all()
    assert results.ssim_content.notna().all()
    assert set(results.batch_size) == {8}
    assert results.groupby("alpha").ssim_content.mean().is_monotonic_decreasing  # less of it keeps more of the content


def test_a_failed_training_fails_its_own_cells_and_no_others(folder):
    failures = table(folder, "failures")
    training, cells = failures[failures.method == "training"], failures[failures.method == "feedforward"]
    assert training.error_class.tolist() == ["InputError"] * 2
    assert "none of 1 photographs is a picture" in training.error_message.iloc[0]
    assert len(cells) == 8
    assert set(cells.model_id) == set(training.model_id)
    assert not set(cells.model_id) & set(table(folder, "models").model_id)
    assert fsck(open_root("out")).ok


def test_rows_name_whatever_is_left_when_trainings_and_sweeps_have_ended(folder):
    root = open_root("out")
    objects = {stat.key.split("/")[0] for stat in root.store.list("")}
    assert objects >= {"pictures", "thumbs", "models", "gallery"}
    assert find_orphans(root, store_time(root.store), grace=-2) == ()


def test_photographs_are_prepared_as_large_as_squares_are_cut_from(folder):
    files = list((folder / "cache").rglob("photographs.npy"))
    assert {np.load(file, mmap_mode="r").shape[1:] for file in files} == {(48, 48, 3)}  # 1.5 times 32


def test_it_is_done_then_whatever_names_the_model(folder):
    assert json.loads(nst("plan", "painted.yaml", "--json"))["to_do"] == 0
    plan = json.loads(nst("plan", "tiny.yaml", "--json"))
    assert [model["state"] for model in plan["models"]] == ["trained", "trained"]
    (folder / "latest.yaml").write_text(SWEEP.replace("painted", "latest").replace("tiny.yaml", "latest"))
    prepared = planned("latest.yaml", "out")
    assert prepared.plan.to_do == 0
    output = nst("run", "tiny.yaml", "--inline")
    assert "0 trained" in output
    assert "2 were trained before" in output
    assert len(table(folder, "models")) == 2


def test_beside_another_method_its_cells_are_the_same(folder):
    gatys = "{name: gatys, size: 48, backbone: {name: vgg16, weights: random}}"
    text = SWEEP.replace("method: {", f"methods:\n  - {gatys}\n  - {{").replace("painted", "beside")
    (folder / "beside.yaml").write_text(text)
    plan = planned("beside.yaml", "out").plan
    assert plan.cells.methods() == {"gatys": 4, "feedforward": 8}
    assert (plan.done, plan.to_do) == (8, 4)
    (folder / "beside.yaml").write_text(text.replace("tiny.yaml", "abcdef"))
    with pytest.raises(ManifestError) as caught:
        planned("beside.yaml", "out")
    assert [problem.line for problem in caught.value.problems] == [6]


def test_equal_trainings_are_one_model_however_they_are_written(folder):
    write_manifest(folder, "other", styles=[{"uri": "styles/dots.png", "name": "points"}], steps=4, checkpoint_every=2)
    text = (folder / "other.yaml").read_text().replace("photographs: photographs/", "photographs: [photographs/*.png]")
    (folder / "other.yaml").write_text(text)
    prepared = planned("other.yaml", "out")
    assert not prepared.to_do
    for change in ({"steps": 5}, {"style_weight": 31}, {"seed": 1}, {"backbone": {**TRAINING["backbone"], "seed": 1}}):
        write_manifest(folder, "other", **{"steps": 4, **change})
        assert planned("other.yaml", "out").to_do, change
    (folder / "other.yaml").write_text(text.replace("[photographs/*.png]", "[photographs/1*.png]"))
    assert planned("other.yaml", "out").to_do  # other photographs


def test_axes_make_models(folder):
    write_manifest(
        folder, "axes", styles="styles/*.png", top={"sweep": {"style_weight": [1, 10], "seed": {"count": 3}}}
    )
    prepared = planned("axes.yaml", "out")
    assert len({spec.model_id for spec in prepared.specs}) == 12
    assert {spec.config.style_weight for spec in prepared.specs} == {1, 10}


@pytest.mark.parametrize(
    ("model", "message"),
    [("latest", "style third: no johnson model is trained for this style"), ("abcdef", "no model 'abcdef'"),
     ("other.safetensors", "does not exist"), ("axes.yaml", "6 of its johnson models know this style")],
)  # fmt: skip
def test_a_model_that_is_not_there_is_told_where_it_is_named(folder, model, message):
    write_manifest(
        folder, "axes", styles="styles/*.png", top={"sweep": {"style_weight": [1, 10], "seed": {"count": 3}}}
    )
    (folder / "third.png").write_bytes((folder / "photographs/3.png").read_bytes())
    styles = "styles: third.png" if model == "latest" else "styles: styles/dots.png"
    text = SWEEP.replace("styles: styles/*.png", "" if "." not in model and model != "latest" else styles)
    if model.endswith("tensors"):
        text = text.replace(styles, "")
    (folder / "missing.yaml").write_text(text.replace("tiny.yaml", model))
    with pytest.raises(ManifestError) as caught:
        planned("missing.yaml", "out")
    problem = caught.value.problems[0]
    assert message in problem.message
    assert "| method:" in problem.excerpt


def test_a_model_by_the_beginning_of_its_id_and_by_its_file_paints_the_same(folder):
    model = table(folder, "models").iloc[0]
    nst("stylize", "photographs/0.png", "--model", model.model_id[:6], "-o", "a.png")
    nst("stylize", "photographs/0.png", "--model", model.weights_uri, "-o", "b.png")
    pictures = [decode((folder / name).read_bytes()) for name in ("a.png", "b.png")]
    assert (pictures[0] == pictures[1]).all()
    assert pictures[0].shape == decode((folder / "photographs/0.png").read_bytes()).shape
    assert read_provenance((folder / "a.png").read_bytes())["model"] == model.weights_digest
    assert (
        nst("stylize", "photographs/0.png", "--model", model.model_id, "--size", "32", code=0).strip().endswith(".png")
    )


def test_models_are_listed_compared_and_exported(folder):
    rows = json.loads(nst("models", "--json"))
    assert {row["model_id"] for row in rows} == set(table(folder, "models").model_id)
    first, second = (row["model_id"] for row in rows)
    compared = nst("models", first, second[:8])
    assert "style_names" in compared
    assert "validation_ssim_content" in compared
    assert "learning_rate" not in compared  # equal
    nst("export", first[:8], "exported")
    files = sorted(path.suffix for path in (folder / "exported").iterdir())
    assert files == [".jpg", ".md", ".onnx", ".safetensors"]
    card = next((folder / "exported").glob("*.md")).read_text()
    assert "`images` [batch,3,height,width] -> `pictures`" in card
    assert first in card
    assert rows[0]["weights_digest"] in card
    # Another program's answer: the exported graph paints what `nst stylize` does.
    nst("stylize", "photographs/0.png", "--model", first, "-o", "here.png")
    photograph, here = (decode((folder / name).read_bytes()) for name in ("photographs/0.png", "here.png"))
    session = onnxruntime.InferenceSession(next((folder / "exported").glob("*.onnx")))
    assert session.get_modelmeta().custom_metadata_map["family"] == "johnson"
    (there_13HW,) = session.run(None, {"images": photograph.transpose(2, 0, 1)[None].astype(np.float32) / 255})
    assert abs(there_13HW[0].transpose(1, 2, 0).clip(0, 1) * 255 - here).max() <= 0.51


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "neither a model nor a style"),
        (("--style", "styles/dots.png"), "no model that knows any style (adain) is trained"),
        (("--model", "0000"), "no model '0000'"),
        (("--model", "MODEL", "--style", "styles/dots.png"), "is trained for one style"),
        (("--model", "MODEL", "-o", "x.gif"), "no known ending"),
        (("--model", "MODEL", "-o", "tiny.yaml/x.png"), "Not a directory"),
        (("--model", "painted.yaml"), "no model"),
        (("--model", "gone.safetensors"), "does not exist"),
    ],
)
def test_what_cannot_be_stylized_is_said(folder, options, message):
    model = table(folder, "models").model_id.iloc[0]
    with pytest.raises(UserError) as caught:
        nst("stylize", "photographs/0.png", *(model if option == "MODEL" else option for option in options))
    assert message in str(caught.value)


def test_networks_of_others_are_imported_and_used(folder, shared_data):
    weights = shared_data / "weights"
    parts = (
        weights / "adain_decoder_int8dequant.f16.safetensors",
        weights / "vgg19_normalised_to_conv4_1.f32.safetensors",
    )
    with pytest.raises(UserError, match="without its encoder"):
        nst("import", parts[0], "--root", "others")
    said = nst("import", *parts, "--name", "huang", "--root", "others")
    assert nst("import", *parts, "--name", "huang", "--root", "others") == said
    nst("import", weights / "feedforward/fst_mathura.f16.safetensors", "--root", "others")
    models = json.loads(nst("models", "--json", "--root", "others"))
    assert [(model["family"], model["name"]) for model in models] == [
        ("johnson", "fst_mathura.f16"),
        ("adain", "huang"),
    ]
    photo = folder / "photographs/0.png"
    nst("stylize", photo, "--style", "styles/dots.png", "-o", "any.png", "--root", "others")
    nst("stylize", photo, "--style", "styles/dots.png", "-o", "none.png", "--alpha", "0", "--root", "others")
    nst("stylize", photo, "--model", models[0]["model_id"], "-o", "fst.png", "--root", "others")
    pictures = {name: decode((folder / f"{name}.png").read_bytes()).astype(float) for name in ("any", "none", "fst")}
    content = decode(photo.read_bytes())
    change = {name: abs(picture - content).mean() for name, picture in pictures.items()}
    assert change["none"] < change["any"]
    assert change["fst"] > 5
    card = model_card(model_rows(open_root("others").catalog, [models[1]["model_id"]])[0], "huang")
    assert "trained elsewhere" in card
    assert "![" not in card  # it has no samples
    assert fsck(open_root("others")).ok


def test_a_night_trains_what_is_new_and_one_fault_holds_up_no_other(folder):
    nightly = folder / "night/manifests/nightly"
    nightly.mkdir(parents=True)
    (nightly / "a-broken.yaml").write_text("kind: train\nname: broken\n")
    write_manifest(nightly, "b-sick", learning_rate=10)
    write_manifest(nightly, "c-dots", steps=3)
    write_manifest(nightly, "d-dots", steps=3)

    def night():
        with InlineEngine() as engine:
            return run_night(open_root(str(folder / "night")), "", str(folder), ["cpu"], engine)

    with pytest.raises(NightFailed, match=r"2 of 4 manifests failed: .*a-broken.*b-sick.*its pictures are constant"):
        night()
    models, failures = (pd.read_parquet(folder / "night/catalog" / name) for name in ("models", "failures"))
    assert models["name"].tolist() == ["c-dots"]  # d asks for the same
    assert failures.error_class.tolist() == ["Unhealthy"]
    assert (
        failures[["worker", "device", "device_name", "nst_version", "torch_version", "started_at"]]
        .notna()
        .all(axis=None)
    )
    evidence = Path(failures.evidence_uri[0].removeprefix("file://"))
    assert json.loads(evidence.read_text())["why"] == failures.error_message[0]
    assert np.ptp(decode(evidence.with_suffix(".png").read_bytes()), axis=(0, 1)).max() <= 2
    for name in ("a-broken", "b-sick"):
        (nightly / f"{name}.yaml").unlink()
    rows = night()
    assert [(row.trained, row.trained_before, row.error) for row in rows] == [(0, 1, ""), (0, 1, "")]
    reports = sorted((folder / "night/state/nights").iterdir())
    assert "missing" in json.loads(reports[0].read_text())["manifests"][0]["error"]


def test_not_even_a_bug_in_one_manifest_holds_up_the_next(tmp_path, monkeypatch):
    import flows.order.night

    def plan(request, _):
        raise ZeroDivisionError(request.manifest)

    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("kind: train")
    monkeypatch.setattr(flows.order.night, "plan_training", plan)
    with InlineEngine() as engine, pytest.raises(NightFailed, match="2 of 2") as raised:
        run_night(open_root(str(tmp_path / "root")), str(tmp_path), "", ["cpu"], engine)
    assert "Traceback" in str(raised.value)


def test_without_manifests_of_the_root_those_of_the_working_directory_are_taken(folder):
    from tasks.nightly import nightly_manifests

    ours = Path(__file__).parent.parent
    os.chdir(ours)
    try:
        found = nightly_manifests(open_root(str(folder / "empty")).store)
    finally:
        os.chdir(folder)
    assert [Path(uri).name for uri in found] == ["johnson-small.yaml"]
