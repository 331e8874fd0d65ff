"""Too little memory on a CPU: the batch is halved as on a GPU, its cells and its id stay."""

from __future__ import annotations

import json
import math
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from cells import blocks
from orders import planned
from PIL import Image
from sweeps import picture_of, write_pictures
from warm import CONTEXT

from nst.errors import OutOfMemory
from nst.losses.objective import Objective
from tasks.memory import available_to_container
from tasks.root import open_root
from tasks.work import halving
from tasks.work.halving import as_told, is_out_of_memory
from tasks.work.stylize import Stylist
from tasks.work.workplace import keep_freed_memory

MANIFEST = """\
name: eight
contents: large.png
styles: waves.png
method:
  name: gatys
  size: 160
  steps: 1
  content_layers: relu2_1
  style_layers: [relu1_1, relu2_1]
  backbone: {name: vgg16, weights: random}
sweep: {style_weight: [1, 2, 3, 4, 5, 6, 7, 8]}
batch_size: 8
"""


LARGE = """\
name: large
contents: large.png
styles: waves.png
method:
  name: gatys
  size: 600
  steps: 2
  pyramid: {levels: 1}
  content_layers: relu2_1
  style_layers: [relu1_1, relu2_1]
  backbone: {name: vgg16, weights: random}
"""


def work(how: str, folder: Path, root: str, most: int | None = None) -> Any:
    """Run the batch, or its first cell alone, in a process whose address space is bounded: `most`, in kilobytes."""
    out = folder / f"{root}.json"
    process = CONTEXT.Process(target=be_worker, args=(how, str(folder / "m.yaml"), str(folder / root), str(out), most))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    return json.loads(out.read_text())


def be_worker(how: str, manifest: str, root: str, out: str, most: int | None) -> None:
    if most:
        resource.setrlimit(resource.RLIMIT_AS, (1024 * most, 1024 * most))
    if how == "cut":
        halving.memory_of = halving.memory_held = lambda _: 1.0
    if how == "surprised":  # where the limit lies at which this happens differs from one machine to the next
        Objective.with_gradient = short_of_memory
    keep_freed_memory()
    torch.set_num_threads(1)
    prepared = planned(manifest, root)
    (batch,) = prepared.plan.batches()
    job = prepared.job(batch)
    stylist = Stylist(prepared.root, "cpu")
    told = {}
    if how == "alone":
        stylist.run(job.only(batch.cells[0], "alone"))
    else:
        outcome = stylist.run(job)
        told |= {"done": list(outcome.done), "failed": [str(failed) for failed in outcome.failed]}
        told |= {"cells": [cell.cell_id for cell in batch.cells], "batch": batch.batch_id, "outcome": outcome.batch_id}
    Path(out).write_text(json.dumps({**told, "peak": kilobytes("VmPeak")}))


def short_of_memory(*_: Any) -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")


def kilobytes(what: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1])


@pytest.mark.process
@pytest.mark.skipif(platform.system() != "Linux", reason="/proc is Linux's")
def test_a_batch_that_does_not_fit_is_halved_until_it_does(tmp_path):
    Image.fromarray(blocks(3, 120, 160)).save(write_pictures(tmp_path) / "large.png")
    (tmp_path / "m.yaml").write_text(MANIFEST)
    alone, whole = work("alone", tmp_path, "alone"), work("batch", tmp_path, "whole")
    assert whole["peak"] > alone["peak"]
    limit = (alone["peak"] + whole["peak"]) // 2  # room for half of the batch, and for a thread's stack
    halved = work("batch", tmp_path, "halved", limit)
    assert halved["failed"] == []
    assert halved["done"] == halved["cells"] == whole["done"]
    assert halved["outcome"] == halved["batch"] == whole["batch"]
    assert halved["peak"] <= limit
    pictures = [{row["cell_id"]: row for row in results(tmp_path / root)} for root in ("whole", "halved")]
    for cell_id in halved["done"]:
        together, apart = (picture_of(rows[cell_id]).astype(int) for rows in pictures)
        assert np.abs(together - apart).max() <= 1
        assert pictures[1][cell_id]["batch_size"] == 8


@pytest.mark.process
@pytest.mark.skipif(platform.system() != "Linux", reason="/proc is Linux's")
def test_a_picture_that_does_not_fit_alone_is_made_in_tiles(tmp_path):
    """Where the memory is known to be short before it begins, and where that comes out on the way."""
    Image.fromarray(blocks(3, 450, 600)).save(write_pictures(tmp_path) / "large.png")
    (tmp_path / "m.yaml").write_text(LARGE)
    whole, cut = work("batch", tmp_path, "whole"), work("cut", tmp_path, "cut")
    assert cut["peak"] < whole["peak"]
    surprised = work("surprised", tmp_path, "surprised")
    assert surprised["failed"] == cut["failed"] == []
    ((expected,), *others) = [results(tmp_path / root) for root in ("whole", "cut", "surprised")]
    assert expected["tile_side"] is None
    for (row,) in others:
        assert row["tile_side"] in (512, 256)
        assert np.abs(picture_of(row).astype(int) - picture_of(expected).astype(int)).max() <= 1
        assert row["style_loss"] == pytest.approx(expected["style_loss"], rel=1e-3)


@pytest.mark.proof
@pytest.mark.process
@pytest.mark.skipif(platform.system() != "Linux", reason="/proc is Linux's")
def test_a_picture_is_cut_at_some_real_limit(tmp_path):
    """What the test above puts in place of a limit: between whole and out of memory lies a limit at which it is cut."""
    Image.fromarray(blocks(3, 450, 600)).save(write_pictures(tmp_path) / "large.png")
    (tmp_path / "m.yaml").write_text(LARGE)
    whole, cut = work("batch", tmp_path, "whole"), work("cut", tmp_path, "cut")
    sides = []
    for eighth in range(8, -1, -1):
        most = cut["peak"] + eighth * (whole["peak"] - cut["peak"]) // 8
        if work("batch", tmp_path, f"root{eighth}", most)["done"]:
            sides += [row["tile_side"] for row in results(tmp_path / f"root{eighth}")]
    assert {512, 256} & {*sides}, sides


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, math.inf),
        ({"max": "max\n", "current": "5\n", "stat": "inactive_file 1\n"}, math.inf),
        ({"max": "1000\n", "current": "600\n", "stat": "anon 400\ninactive_file 150\n"}, 550.0),
        ({"max": "1000\n", "current": "1200\n", "stat": "anon 1\n"}, 0.0),
    ],
)
def test_a_container_has_what_its_limit_leaves(files, left, tmp_path):
    """As the kernel's documentation of control groups, version 2, names the files."""
    for name, text in files.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert available_to_container(tmp_path) == left


def results(root: Path) -> list[dict[str, Any]]:
    open_root(str(root)).catalog.publish("results")
    return pq.read_table(root / "catalog/results").to_pylist()


def real_errors():
    """Yield what torch, numpy and Python really raise when they are asked for a million gigabytes."""
    for ask in (
        lambda: torch.empty(2**50, dtype=torch.uint8),
        lambda: np.ones(2**50, np.uint8),
        lambda: bytearray(2**50),
    ):
        with pytest.raises(Exception) as caught:
            ask()
        yield caught.value


def test_every_way_to_say_that_memory_is_short_is_understood():
    for error in real_errors():
        assert is_out_of_memory(error), repr(error)
        assert isinstance(as_told(error, "cpu"), OutOfMemory)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory"), OSError("disk full")])
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)
    assert as_told(error, "cpu") is error


@pytest.mark.process
def test_a_worker_of_which_onednn_fails_goes_on_without_it():
    """In a process of its own: what is turned off stays off."""
    code = (
        "import torch; from tasks.work.halving import _do_without_onednn as without\n"
        "assert not without(RuntimeError('shape mismatch')) and torch.backends.mkldnn.enabled\n"
        "assert without(RuntimeError('could not create a primitive')) and not torch.backends.mkldnn.enabled\n"
        "assert not without(RuntimeError('could not create a primitive'))  # so that nothing is tried for ever\n"
        "assert torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)).item() == 9\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
