"""The main job as a user runs it: the real command in a real process, on real pictures, read back with real readers."""

from __future__ import annotations

import csv
import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skimage.data
from warm import nst

from nst.pictures.images import decode, encode, read_provenance, resize
from nst.records import OutputFormat
from tasks.store import open_store

pytestmark = pytest.mark.xdist_group("run")  # its sweeps run once

MANIFEST = """\
name: small
contents: contents/*
styles:
  - styles/waves.png
  - {name: blend, images: [{uri: styles/waves.png, weight: 3}, {uri: styles/dots.png}], mix: losses}
method:
  name: gatys
  size: 48
  steps: 4
  content_layers: [relu2_1]
  style_layers: [relu1_1, relu2_1]
  backbone: {name: vgg16, weights: random}
sweep:
  style_weight: [1, 100]
"""


def pictures() -> dict[str, bytes]:
    waves = np.sin(np.add.outer(np.arange(96) / 5, np.sin(np.arange(96) / 9) * 3))
    dots = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    blue = np.stack([80 + 60 * waves, 100 + 80 * waves, 160 + 90 * waves], -1).clip(0, 255).astype(np.uint8)
    files = {"contents/cat.png": resize(skimage.data.chelsea(), 96), "styles/waves.png": blue, "styles/dots.png": dots}
    return {name: encode(array, OutputFormat(), {}) for name, array in files.items()}


def write_inputs(folder: Path) -> None:
    for name, data in pictures().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "contents/broken.jpg").write_bytes(b"this is no picture")
    (folder / "sweep.yaml").write_text(MANIFEST)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which the sweep was run once as users do, with one content that is no picture."""
    folder = tmp_path_factory.mktemp("sweep")
    write_inputs(folder)
    command = [sys.executable, "-m", "flows", "run", "sweep.yaml", "--inline"]
    return folder, subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def test_good_cells_are_done_and_one_bad_image_costs_its_own_cells(ran):
    folder, run = ran
    assert run.returncode == 1, run.stderr
    assert "4 done" in run.stdout
    assert "4 failed" in run.stdout
    results = pd.read_parquet(folder / "out/catalog/results")
    assert sorted(zip(results.content_name, results.style_name, results.style_weight, strict=True)) == [
        ("cat", "blend", 1.0), ("cat", "blend", 100.0), ("cat", "waves", 1.0), ("cat", "waves", 100.0),
    ]  # fmt: skip
    failures = pd.read_parquet(folder / "out/catalog/failures")
    assert len(failures) == 4
    assert set(failures.error_class) == {"InputError"}
    assert failures.error_message.str.contains("broken.jpg").all()
    assert failures.error_where.str.startswith("read").all()
    assert results.attempt.eq(1).all()


def test_a_row_tells_the_whole_truth(ran):
    folder, _ = ran
    results = pd.read_parquet(folder / "out/catalog/results")
    for row in results.itertuples():
        path = Path(row.picture_uri.removeprefix("file://"))
        data = path.read_bytes()
        assert len(data) == row.picture_bytes
        assert decode(data).shape == (row.picture_height, row.picture_width, 3)
        assert max(decode(data).shape) == 48
        assert read_provenance(data)["cell_id"] == row.cell_id
        assert decode(Path(row.thumbnail_uri.removeprefix("file://")).read_bytes()).size
        assert row.steps_done == 4
        assert row.seconds > 0
        if sys.platform == "linux":
            assert row.device_name in Path("/proc/cpuinfo").read_text()
        assert json.loads(row.style_layers) == {"relu1_1": 0.5, "relu2_1": 0.5}
        weighted = (row.style_loss_relu1_1 + row.style_loss_relu2_1) / 2
        assert row.style_loss == pytest.approx(weighted, rel=1e-5)
        total = row.content_weight * row.content_loss + row.style_weight * row.style_loss + row.tv_weight * row.tv_loss
        assert row.loss == pytest.approx(total, rel=1e-4)
    assert str(results.finished_at.dt.tz) == "UTC"
    blend = results[results.style_name == "blend"].iloc[0]
    assert json.loads(blend.style_weights) == [0.75, 0.25]
    assert blend.style_mix == "losses"


def test_every_row_names_its_worker_its_device_and_its_software(ran):
    folder, _ = ran
    labels = set()
    for table in ("results", "failures"):
        rows = pd.read_parquet(folder / "out/catalog" / table)
        assert set(rows.device) == {"cpu"}
        assert set(rows.python_version) == {platform.python_version()}
        assert set(rows.torch_version.str.split("+").str[0]) == {version("torch").split("+")[0]}
        assert set(rows.nst_version) == {version("nst-batch")}
        assert rows.worker.str.fullmatch(r"cpu-[0-9a-f]{6}").all()
        assert rows.device_name.notna().all()
        end = rows.finished_at if table == "results" else rows.failed_at
        assert (rows.started_at <= end).all()
        labels |= set(rows.worker)
    assert len(labels) == 1  # one worker process did it all


def test_pandas_duckdb_and_polars_read_the_same_rows(ran):
    folder, _ = ran
    root = folder / "out/catalog/results"
    expected = sorted(pd.read_parquet(root).cell_id)
    assert sorted(pl.read_parquet(f"{root}/**/*.parquet").get_column("cell_id")) == expected
    query = f"select cell_id from read_parquet('{root}/**/*.parquet') order by 1"
    assert [row[0] for row in duckdb.sql(query).fetchall()] == expected


def test_run_again_computes_nothing_that_is_done_and_tries_failures_again(ran, tmp_path):
    folder = shutil.copytree(ran[0], tmp_path / "again")  # the other tests look at the first run, in any order
    before = pd.read_parquet(folder / "out/catalog/results").set_index("cell_id")
    again = nst("run", "sweep.yaml", "--inline", cwd=folder)
    assert "0 done" in again.stdout
    assert again.returncode == 1
    failures = pd.read_parquet(folder / "out/catalog/failures")
    assert sorted(failures.attempt) == [1, 1, 1, 1, 2, 2, 2, 2]

    (folder / "contents/broken.jpg").unlink()
    alone = nst("run", "sweep.yaml", "--inline", cwd=folder)
    assert alone.returncode == 0
    assert "0 done" in alone.stdout
    pd.testing.assert_frame_equal(before, pd.read_parquet(folder / "out/catalog/results").set_index("cell_id"))


def test_a_root_may_be_moved(ran, tmp_path):
    folder = shutil.copytree(ran[0], tmp_path / "moved")
    shutil.rmtree(folder / "contents")
    (folder / "contents").mkdir()
    (folder / "contents/cat.png").write_bytes(pictures()["contents/cat.png"])
    shutil.move(folder / "out", tmp_path / "elsewhere")
    again = nst("run", "sweep.yaml", "--inline", "--root", tmp_path / "elsewhere", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "0 done" in again.stdout
    before, after = (tmp_path / "elsewhere/gallery").glob("*/index.html")  # of the sweep, and of what is left of it
    assert not any(str(ran[0] / "out") in page.read_text() for page in (before, after))
    exported = nst("export", "small", tmp_path / "pictures", "--root", tmp_path / "elsewhere")
    assert exported.returncode == 0, exported.stderr
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4


def test_plan_tells_what_is_done_and_why_the_rest_is_not(ran):
    folder, _ = ran
    plan = json.loads(nst("plan", "sweep.yaml", "--json", cwd=folder).stdout)
    assert plan["cells"] == 8
    assert plan["reasons"]["done"] == 4
    assert plan["reasons"]["failed before"] == 4
    assert plan["seconds"] > 0
    text = nst("plan", "sweep.yaml", cwd=folder).stdout
    assert "failed before" in text


def test_status_export_and_fsck_agree_with_the_run(ran, tmp_path):
    folder, _ = ran
    status = nst("status", cwd=folder, COLUMNS="120").stdout
    assert "small" in status
    exported = nst("export", "small", tmp_path / "pictures", cwd=folder)
    assert exported.returncode == 0, exported.stderr
    names = sorted(path.name for path in (tmp_path / "pictures").glob("*.png"))
    assert names == [
        "cat__blend__style_weight=1.png", "cat__blend__style_weight=100.png",
        "cat__waves__style_weight=1.png", "cat__waves__style_weight=100.png",
    ]  # fmt: skip
    assert "4 cells failed, without a picture" in exported.stdout
    with (tmp_path / "pictures/failed.csv").open() as file:
        failed = list(csv.DictReader(file))
    assert [row["content_name"] for row in failed] == ["broken"] * 4
    assert all("broken.jpg" in row["error_message"] for row in failed)
    with (tmp_path / "pictures/catalog.csv").open() as file:
        assert sorted(row["file"] for row in csv.DictReader(file)) == names
    fsck = nst("fsck", cwd=folder)
    assert fsck.returncode == 0, fsck.stdout

    victim = next((folder / "out/pictures").rglob("*.png"))
    data = victim.read_bytes()
    victim.write_bytes(data[:-1])
    broken = nst("fsck", cwd=folder)
    victim.write_bytes(data)
    assert broken.returncode == 1
    assert victim.stem in broken.stdout


def test_a_user_error_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "bad.yaml").write_text("name: x\ncontents: a.jpg\nstyles: b.jpg\nmethod: {name: gatis}\n")
    for command in ("plan", "run"):
        bad = nst(command, "bad.yaml", cwd=tmp_path)
        assert bad.returncode == 2
        error = bad.stderr.removeprefix("reading and planning bad.yaml\n")  # `run` says what it waits for
        assert error.startswith("bad.yaml:4:16: error: ")
        assert "gatys" in bad.stderr
        assert not (tmp_path / "out").exists()
    missing = nst("run", "none.yaml", cwd=tmp_path)
    assert missing.returncode == 2
    assert len(missing.stderr.splitlines()) == 2
    assert missing.stderr.splitlines()[0] == "reading and planning none.yaml"
    (tmp_path / "inputs.yaml").write_text("name: x\ncontents: [a.jpg]\nstyles: [b.jpg, c.jpg]\nmethod: gatys\n")
    inputs = nst("run", "inputs.yaml", cwd=tmp_path)
    assert inputs.returncode == 2
    assert [line.split(": error:")[0] for line in inputs.stderr.splitlines() if ": error:" in line] == [
        "inputs.yaml:2:12", "inputs.yaml:3:10", "inputs.yaml:3:17",
    ]  # fmt: skip


def test_manifest_images_and_root_on_a_real_s3_server(s3):
    bucket = s3.bucket()
    store = open_store(bucket)
    for name, data in pictures().items():
        store.put(f"in/{name}", data)
    store.put("in/sweep.yaml", MANIFEST.encode())
    run = nst("run", f"{bucket}/in/sweep.yaml", "--root", f"{bucket}/lab", "--inline")
    assert run.returncode == 0, run.stderr
    results = pd.read_parquet(f"{bucket}/lab/catalog/results")
    assert len(results) == 4
    files = [f"{bucket}/{stat.key}" for stat in store.list("lab/catalog/results/")]
    options = {"aws_endpoint_url": s3.url, "aws_allow_http": "true"}
    assert sorted(pl.read_parquet(files, storage_options=options).get_column("cell_id")) == sorted(results.cell_id)
    for uri, digest in zip(results.picture_uri, results.picture_digest, strict=True):
        assert uri.startswith(f"{bucket}/lab/pictures/")
        assert digest in uri
    again = nst("run", f"{bucket}/in/sweep.yaml", "--root", f"{bucket}/lab", "--inline")
    assert "0 done" in again.stdout
    assert nst("fsck", "--root", f"{bucket}/lab").returncode == 0
