"""Feed-forward doodles through the real command: a mask in the training manifest, masks in the sweep, one picture."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from orders import planned
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import ManifestError, UserError
from nst.pictures.images import decode, encode
from nst.records import OutputFormat
from tasks.models.card import model_card, model_rows
from tasks.root import open_root

pytestmark = pytest.mark.xdist_group("doodle_net_run")  # its sweep runs once

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
TRAINING = {
    "kind": "train",
    "name": "doodles",
    "styles": [{"uri": "painting.png", "mask": "painting-mask.png"}],
    "training": {
        "family": "doodle_net", "size": 32, "steps": 4, "batch_size": 1, "scales": 3, "style_layers": ["relu1_1"],
        "checkpoint_every": 2, "validate_every": 2, "backbone": {"name": "vgg16", "weights": "random"},
    },
}  # fmt: skip
SWEEP = """\
name: painted
contents: [{mask: doodle.png}, {uri: painting.png, mask: painting-mask.png}]
styles: painting.png
method: {name: feedforward, family: doodle_net, model: doodles.yaml, size: 40}
sweep: {seed: [0, 1]}
"""


def nst(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def write(folder, name, array):
    (folder / name).write_bytes(encode(array, OutputFormat(), {}))


def halves(*colors, height=32, width=48):
    return np.array(colors, np.uint8).repeat(width // len(colors), 0)[None].repeat(height, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doodles")
    coarse = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    write(folder, "painting.png", coarse.repeat(4, 0).repeat(4, 1))
    write(folder, "painting-mask.png", halves(RED, BLUE))
    write(folder, "doodle.png", halves(BLUE, (230, 20, 20), BLUE, height=40, width=30))
    write(folder, "foreign.png", halves(RED, GREEN))
    (folder / "doodles.yaml").write_text(yaml.safe_dump(TRAINING))
    (folder / "painted.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        output = nst("run", "painted.yaml", "--inline", "--devices", "cpu")
        assert "4 done" in output
        yield folder


def table(folder, name):
    return pd.read_parquet(folder / "out/catalog" / name)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_model_is_on_record_with_its_mask_and_colours(folder):
    (row,) = table(folder, "models").to_dict("records")
    assert row["family"] == "doodle_net"
    assert json.loads(row["style_mask_digests"]) == [digest(folder / "painting-mask.png")]
    assert sorted(json.loads(row["colors"])) == ["#0000ff", "#ff0000"]
    assert row["photographs"] == 0
    samples = decode((folder / "out/models/samples" / row["model_id"] / "000000004.jpg").read_bytes())
    assert samples.shape == (512, 1024, 3)  # four masks above their pictures
    far = [np.abs(samples[:256].astype(int) - np.array(color)).sum(2) for color in (RED, BLUE)]
    assert (np.minimum(*far) < 120).mean() > 0.8


def test_masks_alone_and_beside_a_picture_are_painted(folder):
    results = table(folder, "results").sort_values("content_name")
    assert results.content_name.tolist() == ["doodle", "doodle", "painting", "painting"]
    assert results.content_digest.isna().tolist() == [True, True, False, False]
    assert set(results.content_mask_digest) == {digest(folder / f"{name}.png") for name in ("doodle", "painting-mask")}
    assert set(zip(results.picture_width, results.picture_height, strict=True)) == {(30, 40), (40, 27)}
    assert results.picture_digest.is_unique
    assert set(results.model_id) == set(table(folder, "models").model_id)


def test_it_is_done_then_whatever_names_the_model(folder):
    model = table(folder, "models").iloc[0]
    again = SWEEP.replace("painted", "again")
    for name in ("latest", model.model_id[:6]):
        text = again.replace("doodles.yaml", name)
        (folder / "again.yaml").write_text(text if name == "latest" else text.replace("styles: painting.png\n", ""))
        plan = planned("again.yaml", "out").plan
        assert plan.to_do == (0 if name == "latest" else 4)  # by id it is made from no style
    assert planned("doodles.yaml", "out").to_do == []


def test_beside_doodle_its_style_may_have_a_mask(folder):
    doodle = "{name: doodle, size: 40, style_layers: relu1_1, content_layers: relu1_1, backbone: {weights: random}}"
    text = SWEEP.replace("painted", "both").replace("method: {", f"methods:\n  - {doodle}\n  - {{")
    (folder / "both.yaml").write_text(
        text.replace("styles: p", "styles: {uri: p").replace(".png\nm", ".png, mask: painting-mask.png}\nm")
    )
    assert planned("both.yaml", "out").plan.cells.methods() == {"doodle": 4, "feedforward": 4}


def test_another_mask_is_another_model(folder):
    changed = {**TRAINING, "styles": [{"uri": "painting.png", "mask": "foreign.png"}]}
    (folder / "changed.yaml").write_text(yaml.safe_dump(changed))
    (before,), (after,) = planned("doodles.yaml", "out").specs, planned("changed.yaml", "out").specs
    assert before.model_id != after.model_id
    (folder / "changed.yaml").write_text(yaml.safe_dump(changed).replace("foreign", "nowhere"))
    with pytest.raises(ManifestError, match=r"changed.yaml:\d+:\d+: error: .*nowhere.png names no file"):
        planned("changed.yaml", "out")


def test_one_mask_is_painted_from_file_to_file(folder):
    model = table(folder, "models").iloc[0]
    nst("stylize", "doodle.png", "--model", model.model_id, "-o", "one.png")
    assert decode((folder / "one.png").read_bytes()).shape == (40, 30, 3)
    with pytest.raises(UserError, match=r"#00ff00.*, the style's .*: nothing for #00ff00"):
        nst("stylize", "foreign.png", "--model", model.model_id, "-o", "two.png")
    write(folder, "noise.png", np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"noise.png: a mask of more than 16 colours"):
        nst("stylize", "noise.png", "--model", model.model_id, "-o", "two.png")


def test_its_card_tells_of_masks(folder):
    (row,) = model_rows(open_root("out").catalog, [table(folder, "models").model_id.iloc[0]])
    card = model_card(row, "painter")
    assert "nst stylize MASK --model" in card
    assert "`#ff0000`" in card
    assert "Above: masks." in card
