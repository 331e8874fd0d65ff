"""Every method through the real command into one root: rows, names, pages and files where a content or style lacks."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from nst.images import decode, encode
from nst.records import OutputFormat

pytestmark = pytest.mark.xdist_group("run_methods")  # its sweeps run once

SETTINGS = "size: 48, steps: 3, backbone: {name: vgg16, weights: random}"
MANIFESTS = {
    "both": f"""\
contents: [cat.png, dog.png]
styles: waves.png
method: {{name: invert, {SETTINGS}}}
sweep: {{what: [content, style], layer: [relu1_1, relu2_1]}}
""",
    "weave": f"""\
styles: [waves.png, {{name: blend, images: [waves.png, cat.png]}}]
method: {{name: texture, width: 64, style_layers: [relu1_1, pool1], {SETTINGS}}}
""",
    "patches": f"""\
contents: cat.png
styles: waves.png
method: {{name: mrf, pyramid: {{levels: 2}}, rotations: 1, content_layers: relu2_1, style_layers: relu2_1, {SETTINGS}}}
sweep: {{what: [transfer, synthesis]}}
""",
}


def nst(folder, *arguments):
    command = [sys.executable, "-m", "flows", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("methods")
    for seed, name in enumerate(("cat", "dog", "waves")):
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
        (folder / f"{name}.png").write_bytes(encode(coarse.repeat(4, 0).repeat(4, 1), OutputFormat(), {}))
    for name, text in MANIFESTS.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{text}")
        nst(folder, "run", f"{name}.yaml", "--inline")
    return folder


def test_one_catalog_holds_and_compares_all_methods(folder):
    results = pd.read_parquet(folder / "out/catalog/results")
    assert results.groupby("method").size().to_dict() == {"invert": 6, "texture": 2, "mrf": 2}
    invert = results[results.method == "invert"]
    images = invert[["what", "layer", "content_name", "style_name"]].fillna("-").itertuples(index=False, name=None)
    assert sorted(images) == [
        ("content", "relu1_1", "cat", "-"), ("content", "relu1_1", "dog", "-"),
        ("content", "relu2_1", "cat", "-"), ("content", "relu2_1", "dog", "-"),
        ("style", "relu1_1", "-", "waves"), ("style", "relu2_1", "-", "waves"),
    ]  # fmt: skip
    assert invert.content_loss.isna().tolist() == (invert.what == "style").tolist()
    assert invert.ssim_content.isna().tolist() == (invert.what == "style").tolist()
    assert results[results.method == "texture"][["content_name", "content_loss"]].isna().all(axis=None)
    assert set(results[results.method == "texture"].picture_width) == {64}
    synthesis = results[results.what == "synthesis"].iloc[0]
    assert pd.isna(synthesis.content_name)
    assert synthesis.style_name == "waves"


def test_running_again_computes_nothing(folder):
    assert "0 done" in nst(folder, "run", "both.yaml", "--inline")


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("both", {"cat__what=content_layer=relu1_1.png", "waves__what=style_layer=relu2_1.png"}),
        ("weave", {"waves.png", "blend.png"}),
        ("patches", {"cat__waves__what=transfer.png", "waves__what=synthesis.png"}),
    ],
)
def test_files_and_pages_do_without_what_is_missing(folder, name, some):
    nst(folder, "export", name, f"files-{name}")
    files = {file.name.replace("__layer", "_layer") for file in (folder / f"files-{name}").glob("*.png")}
    assert some <= files
    (page,) = (folder / "out/gallery").glob(f"{name}-*/index.html")
    assert "nan" not in page.read_text().lower().split("<script", 1)[0]
    sheet = decode((page.parent / "contact_sheet.jpg").read_bytes())
    assert min(sheet.shape[:2]) > 100
