"""`nst bench`: operations against torch's own count, the form of the report, and the command in a real process."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time

import jsonschema
import pytest
from warm import nst, start

from flows.order.bench import Session
from nst.benchmarks.cases import GROUPS, WARM_UP, Case, Group, cases
from nst.benchmarks.operations import FORWARD_AND_BACK, forward_operations
from nst.benchmarks.report import (
    Ceiling,
    Machine,
    Measured,
    Report,
    report_schema,
    reports_from_json,
    summed_up,
    to_json,
)
from nst.benchmarks.table import table
from nst.config.backbone import BackboneConfig
from nst.errors import InputError, Stopped
from tasks.bench.clock import Clock
from tasks.bench.references import references
from tasks.bench.trial import Failed, Trial, _answer
from tasks.work.calibration import packaged_weights

TINY = (
    Group("gatys", "embedded", (32,), (1, 2), 2, first_precision_alone=True),
    Group("one pass", "johnson", (32,), (1,), 1, first_precision_alone=True),
)
SHORT = {"nst.benchmarks.cases.CEILING": {False: (32, 1)}, "flows.order.bench.EFFECTS": 8}
"""Settings of a short run."""


def groups(*chosen):
    return {**SHORT, "nst.benchmarks.cases.GROUPS": {("quick", False): chosen}}


def machine(**changes):
    facts = {"cores": 4, "threads": 4, "memory_bytes": 1, "system": "x", "nst": "1", "torch": "2", "python": "3"}
    return Machine(**{"kind": "cpu", "name": "Fast CPU", "processor": "Fast CPU", **facts, **changes})


def report(*measured, **changes):
    given = {"ceilings": (), "machine": machine(), "measured": measured, "scope": "quick", "taken": "2026-01-02"}
    return Report(format="nst-bench-1", **{**given, **changes})


def gatys(batch=1, precision="float32", steps=5):
    return Case("gatys", "vgg19", 256, batch, precision, steps)


# ---- operations -----------------------------------------------------------------------------------------------------
NETWORKS = [
    ({"weights": "random"}, ["relu1_1", "relu4_1"]),
    ({"name": "vgg16", "weights": "random"}, ["relu2_2", "relu3_3"]),
    ({"weights": "embedded"}, ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]),
]
SIZES = [(32, 24), (37, 50)]
COUNTING = """
import json, sys
import torch
from torch.utils.flop_counter import FlopCounterMode
from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from tasks.work.calibration import packaged_weights
counts = []
for settings, layers in json.loads(sys.argv[1]):
    config = BackboneConfig.model_validate(settings)
    backbone = build_backbone(config, layers, packaged_weights(config) if config.distilled else None)
    for width, height in json.loads(sys.argv[2]):
        picture = torch.rand(2, 3, height, width, requires_grad=True)
        with FlopCounterMode(display=False) as counter:
            sum(feature.sum() for feature in backbone(picture).values()).backward()
        counts.append(counter.get_total_flops())
print(json.dumps(counts))
"""


@pytest.mark.slow
def test_operations_are_those_that_torch_counts_forward_and_back_to_the_picture():
    """In a process of its own: torch's counter imports triton, which complains when pytest ends."""
    command = [sys.executable, "-c", COUNTING, json.dumps(NETWORKS), json.dumps(SIZES)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = []
    for settings, layers in NETWORKS:
        config = BackboneConfig.model_validate(settings)
        weights = packaged_weights(config) if config.distilled else {}
        shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()} or None
        for width, height in SIZES:
            ours.append(FORWARD_AND_BACK * 2 * forward_operations(config.name, layers, width, height, shapes))
    assert json.loads(run.stdout) == ours


# ---- reports --------------------------------------------------------------------------------------------------------
def test_the_median_leaves_an_outlier_out_and_the_share_is_of_the_ceiling():
    found = summed_up(
        gatys(),
        [1.0, 2.0, 2.0, 2.0, 90.0],
        [4.0] * 5,
        peak_bytes=7,
        operations=600,
        ceiling=Ceiling("float32", ((1, 64, 8, 8), (1, 128, 4, 4)), (1000.0, 500.0), (125.0, 250.0)),
    )
    assert (found.seconds, found.quartiles, found.processor_seconds) == (2.0, (2.0, 2.0), 4.0)
    assert found.of_ceiling == pytest.approx(0.3)
    assert found.of_ceiling_by_processor == pytest.approx(0.6)
    assert found.picture_seconds == 600.0
    assert summed_up(gatys(4), [2.0], None, peak_bytes=None, operations=None, ceiling=None).picture_seconds == 150.0


def test_a_report_is_read_as_it_was_written_and_fits_its_schema():
    ceiling = Ceiling("float32", ((1, 64, 8, 8), (1, 128, 4, 4)), (1e9, 2e9), None)
    found = report(
        summed_up(gatys(), [1.0, 2.0], None, peak_bytes=9, operations=10, ceiling=ceiling),
        Measured(gatys(8), fault="too little memory"),
        ceilings=(ceiling,),
    )
    text = to_json(found)
    jsonschema.validate(json.loads(text), report_schema())
    assert reports_from_json(f"[{text}]") == (found,)


@pytest.mark.parametrize("text", ["", "{}", "[{}]", '[{"format": "nst-bench-2"}]', "[1"])
def test_what_is_no_list_of_reports_is_refused(text):
    with pytest.raises(InputError, match="found no reports of nst bench"):
        reports_from_json(text)


def test_the_reference_machines_can_be_read_and_measured_something_without_a_fault():
    found = references()
    assert found
    for each in found:
        assert each.measured
        assert not [one.fault for one in each.measured if one.fault]


# ---- the table ------------------------------------------------------------------------------------------------------
def test_the_table_sets_the_same_measurements_of_another_machine_beside_those_of_this_one():
    here = report(summed_up(gatys(), [1.0], None, peak_bytes=None, operations=None, ceiling=None), Measured(gatys(8)))
    slower = summed_up(gatys(steps=50), [3.0], None, peak_bytes=None, operations=None, ceiling=None)
    there = report(slower, machine=machine(name="Slow CPU", cores=2, load=0.5))
    other = report(Measured(gatys(precision="tf32")), machine=machine(name="Other"))
    lines = list(table(here, [other, there]))
    assert lines[0].startswith("Fast CPU, 4 cores")
    first, failed = (line.split() for line in lines if line.startswith("gatys"))
    assert first[-2:] == ["3.00", "3.00x"]
    assert failed[5] == "failed"
    assert any("[1]: Slow CPU, 2 cores" in line for line in lines)
    assert "Other" not in "\n".join(lines)


@pytest.mark.parametrize(("load", "told"), [(2.1, True), (2.0, False), (None, False)])
def test_a_busy_machine_is_told_in_one_line(load, told):
    ceiling = Ceiling("float32", ((1, 64, 8, 8),), (1000.0,), (250.0,))
    one = summed_up(gatys(), [2.0], [4.0], peak_bytes=None, operations=600, ceiling=ceiling)
    lines = list(table(report(one, ceilings=(ceiling,), machine=machine(load=load)), []))
    assert sum("busy" in line for line in lines) == told
    assert any("GFLOP a CPU s" in line for line in lines) == told
    (row,) = (line.split() for line in lines if line.startswith("gatys"))
    assert row[9] == ("60%" if told else "30%")  # by the clock only where it says something


def test_each_batch_of_the_issue_is_measured_on_a_gpu_in_each_precision():
    found = cases("default", ("float32", "tf32", "bfloat16"), is_cuda=True)
    asked = {
        (case.batch, case.precision)
        for case in found
        if (case.what, case.network, case.size) == ("gatys", "vgg19", 512)
    }
    assert asked == {(2**n, name) for n in range(6) for name in ("float32", "tf32", "bfloat16")}


# ---- what is measured -----------------------------------------------------------------------------------------------
def kinds():
    chosen = {group[:2] for every in GROUPS.values() for group in map(dataclasses.astuple, every)}
    return sorted(chosen)


@pytest.fixture(scope="module")
def trial():
    with Trial("cpu", threading.Event()) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize(("what", "network"), kinds())
def test_everything_that_is_ever_measured_can_be(trial, what, network):
    ceiling = Ceiling("float32", ((1, 64, 8, 8),), (1e9,), (1e9,))
    found = trial.ask("measure", Case(what, network, 64, 2, "float32", 1), ceiling)
    assert found.seconds > 0
    assert found.operations > 0
    assert found.of_ceiling == pytest.approx(found.operations / 1e9 / found.seconds)
    assert found.peak_bytes > 2**20


def test_the_first_steps_do_not_count():
    clock = Clock("cpu")
    for _ in range(WARM_UP + 3):
        clock.mark()
    assert len(clock.seconds()) == len(clock.processor_seconds()) == 3


# ---- the command ----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_quick_run_prints_a_report_that_fits_the_schema(tmp_path):
    run = start("bench", "--quick", "--json", "--devices", "cpu", cwd=tmp_path, changed=groups(*TINY)).ended()
    assert run.returncode == 0, run.stderr
    jsonschema.validate(json.loads(run.stdout), report_schema())
    (found,) = reports_from_json(f"[{run.stdout}]")
    assert [(one.case.what, one.case.batch) for one in found.measured] == [("gatys", 1), ("gatys", 2), ("one pass", 1)]
    assert all(one.seconds > 0 and one.peak_bytes > 2**20 and one.of_ceiling > 0 for one in found.measured)
    assert found.measured[1].operations == 2 * found.measured[0].operations
    assert found.orchestration.effect_seconds > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_measurement_that_fails_is_told_and_the_others_go_on(tmp_path):
    huge = Group("gatys", "embedded", (2**22,), (1,), 1, first_precision_alone=True)
    run = start("bench", "--quick", cwd=tmp_path, changed=groups(huge, *TINY)).ended()
    assert run.returncode == 1
    assert "failed: gatys by embedded, 4194304 px, float32: ValidationError" in run.stderr
    rows = [line.split() for line in run.stdout.splitlines() if line.startswith(("gatys", "one pass"))]
    assert len(rows) == 4
    assert ["failed" in row for row in rows] == [True, False, False, False]


@pytest.mark.slow
def test_control_c_ends_a_measurement_and_leaves_with_130(tmp_path):
    endless = Group("gatys", "embedded", (64,), (1,), 90_000, first_precision_alone=True)
    run = start("bench", "--quick", cwd=tmp_path, changed=groups(*TINY, endless))
    while run.poll() is None and "importing torch" not in run.said[1]:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    ended = run.ended()
    assert ended.returncode == 130
    assert "interrupted after" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_was_measured_before_a_stop_is_in_the_report():
    class Stopping:
        def ask(self, name, *arguments):
            if name == "describe":
                return "Fast CPU", 1
            if name == "measure_ceiling":
                return Ceiling(arguments[0], arguments[1], (1e9,) * len(arguments[1]), None)
            case = arguments[0]
            if case.network == "embedded":
                raise Stopped("stopped")
            return Failed("no reason") if case.precision == "float32" else Measured(case, 1.0, (1.0, 1.0))

    session, shown = Session("cpu", "quick"), []
    with pytest.raises(Stopped):
        session.run(Stopping(), lambda *told: shown.append(told), threading.Event())
    found = session.report()
    assert found.machine.name == "Fast CPU"
    assert found.ceilings
    assert {one.case.network for one in found.measured} == {"vgg19"}
    assert found.measured[0].fault == "no reason"
    assert session.faults
    assert shown[0][:2] == (0, session.total)


@pytest.mark.slow
def test_the_measurement_after_one_that_killed_its_process_has_another_process():
    with Trial("cpu", threading.Event()) as killed:
        before = killed.ask("describe")
        os.kill(killed._process.pid, signal.SIGKILL)
        assert "SIGKILL, perhaps by lack of memory" in killed.ask("describe").why
        assert killed.ask("describe") == before
        assert "AttributeError" in killed.ask("measure", None, None).why


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_lack_of_memory_is_told_in_one_word(error, capsys):
    def job(device):
        raise error

    assert _answer(job, (), "cpu") == Failed("cpu has too little memory")
    assert not capsys.readouterr().err


def test_quick_and_full_exclude_each_other(tmp_path):
    run = nst("bench", "--quick", "--full", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "error: found --quick and --full, expected one of them (leave one out)\n"
