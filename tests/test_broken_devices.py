"""Devices that break: no cell is blamed for them, others do the work, and a run that has none left says so and ends."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest
from broken import DEAD, serve_broken
from orders import planned
from sweeps import TINY, plan, write_pictures
from trainings import write_manifest
from trainings import write_pictures as write_photographs

from flows.command.leaving import FAILED, leave_by
from flows.command.terminal import Terminal
from flows.engine import InlineEngine
from flows.order.sweep import SweepOrder
from nst.errors import DeviceError
from tasks.work.fanout import Chunk, Fanout
from tasks.work.stylize import Stylist
from tasks.work.train_fanout import TrainingFanout
from tasks.work.workers import STRIKES, WORKERS_BEFORE_QUARANTINE, DevicePool

pytestmark = pytest.mark.usefixtures("breaking")

SWEEP = f"{{name: a, contents: cat.png, styles: waves.png, method: {{name: gatys, {TINY}}}, sweep: {{seed: [1, 2]}}}}"
LOST = "CUDA error: the context is lost"


@pytest.fixture
def breaking(monkeypatch):
    monkeypatch.setattr("tasks.work.worker.serve", serve_broken)


@pytest.fixture
def prepared(tmp_path):
    """A sweep of three batches of two cells each: of three contents."""
    manifest = SWEEP.replace("cat.png", "[cat.png, dog.png, start.png]").replace("seed: [1, 2]", "style_weight: [3, 9]")
    return plan(write_pictures(tmp_path), manifest)


def pool_on(root, *devices, **options):
    return DevicePool(root, devices, lock_of=lambda _: None, **options)


def jobs_of(prepared):
    return tuple(prepared.job(batch) for batch in prepared.plan.batches())


def run(prepared, *devices, jobs=()):
    """Run batches in one chunk for each device; return the ids of done cells, of failed ones, and the errors."""
    jobs, outcomes, errors = jobs or jobs_of(prepared), [], []
    with pool_on(prepared.root, *devices) as pool:
        fanout = Fanout(pool, prepared.root.catalog)

        def work(part):
            try:
                outcomes.extend(fanout.stylize(Chunk(part)))
            except DeviceError as error:
                errors.append(error)

        parts = filter(None, (jobs[n :: len(devices)] for n in range(len(devices))))
        threads = [threading.Thread(target=work, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
            assert not thread.is_alive(), "a run without devices ends"
    done = {cell for outcome in outcomes for cell in outcome.done}
    failed = {failure.cell_id for outcome in outcomes for failure in outcome.failed}
    return done, failed, errors


def recorded(prepared, table):
    prepared.root.catalog.publish(table)
    return prepared.root.catalog.keys(table)


def ids(prepared):
    return set(prepared.plan.cells.ids)


@pytest.mark.parametrize("broken", ["bad", "dies", "loses"])
def test_other_devices_do_the_work_of_a_broken_one(prepared, caplog, broken):
    done, failed, errors = run(prepared, broken, "good")
    assert done == ids(prepared)
    assert failed == recorded(prepared, "failures") == set()
    assert errors == []
    assert recorded(prepared, "results") == ids(prepared)


def test_a_job_that_has_lost_a_worker_waits_for_another_device(prepared, caplog):
    """A device that passes its self-test, and loses every batch, was given each one three times before others came."""
    broken = "the worker of loses ended"

    def until_it_has_lost_one():
        while broken not in caplog.text:
            time.sleep(0.01)
        time.sleep(1)
        (root_folder / "go").touch()

    root_folder = Path(prepared.root.uri.removeprefix("file://")).parent
    threading.Thread(target=until_it_has_lost_one, daemon=True).start()
    done, failed, errors = run(prepared, "loses", "late")
    assert done == ids(prepared)
    assert failed == recorded(prepared, "failures") == set()
    assert errors == []
    lost = sum(broken in record.getMessage() for record in caplog.records)
    assert lost <= len(jobs_of(prepared)), "none was given to it twice"


@pytest.mark.parametrize(
    ("broken", "why"),
    [("bad", f"RuntimeError: {LOST}"), ("dies", f"its worker died with exit code {DEAD} before it could do anything")],
)
def test_a_run_without_a_device_that_works_ends_and_blames_no_cell(prepared, caplog, broken, why):
    done, failed, errors = run(prepared, broken, f"{broken} too")
    assert done == failed == recorded(prepared, "failures") == recorded(prepared, "results") == set()
    assert len(errors) == 2, "each thread that waits for a device is told"
    for error in errors:
        assert sorted(error.message.removeprefix("no device works: ").split("; ")) == [
            f"{broken} too: {why}", f"{broken}: {why}"
        ]  # fmt: skip
        assert "nst doctor" in error.hint
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert sorted(said) == [f"{name} is not used any more: {why}" for name in (broken, f"{broken} too")]


def test_a_device_that_is_lost_once_is_used_again_and_nothing_is_on_record(prepared, caplog):
    done, failed, errors = run(prepared, "loses_once")
    assert done == ids(prepared)
    assert failed == recorded(prepared, "failures") == set()
    assert errors == []
    assert [record.message for record in caplog.records if "loses_once" in record.message] == [
        f"the worker of loses_once ended, since its device failed its self-test (RuntimeError: {LOST})"
    ]


def cells_of_batches(prepared):
    return [{cell.cell_id for cell in batch.cells} for batch in prepared.plan.batches()]


def test_a_batch_that_brings_a_device_down_again_and_again_is_at_fault_itself(prepared, caplog):
    """A new process passes the self-test each time, and other batches succeed: no device is retired for it."""
    _, guilty, _ = cells_of_batches(prepared)
    done, failed, errors = run(prepared, "poisoned")
    assert failed == recorded(prepared, "failures") == guilty
    assert done == recorded(prepared, "results") == ids(prepared) - guilty
    assert errors == []
    assert "not used any more" not in caplog.text


def test_devices_that_break_for_good_under_a_batch_are_not_held_against_it(prepared):
    """More of them than the workers that a batch and then each of its cells may lose."""
    devices = [f"breaks {number}" for number in range(WORKERS_BEFORE_QUARANTINE + 2)]
    done, failed, errors = run(prepared, *devices, jobs=jobs_of(prepared)[:1])
    assert done == failed == recorded(prepared, "failures") == set()
    assert len(errors) == 1


def test_a_batch_that_succeeds_clears_its_device(tmp_path, caplog):
    sweep = SWEEP.replace("cat.png", "[cat.png, dog.png]").replace(
        "seed: [1, 2]", "style_layers: [relu1_1, relu1_2, relu2_1]"
    )
    prepared = plan(write_pictures(tmp_path), sweep)
    good, guilty = ([job for job in jobs_of(prepared) if job.batch.cells[0].content.name == n] for n in ("cat", "dog"))
    assert len(good) == len(guilty) == STRIKES
    done, failed, errors = run(prepared, "poisoned", jobs=tuple(sum(zip(guilty, good, strict=True), ())))
    assert errors == []
    assert failed == {job.batch.cells[0].cell_id for job in guilty}
    assert done == {job.batch.cells[0].cell_id for job in good}
    assert "not used any more" not in caplog.text


def test_a_device_that_every_batch_brings_down_is_at_fault_itself(prepared):
    """A new process passes the self-test each time: on one device alone, one batch after the other decides."""
    done, _, errors = run(prepared, "loses")
    first, second, third = cells_of_batches(prepared)
    assert done == set()
    assert recorded(prepared, "failures") == first | second
    assert not recorded(prepared, "failures") & third, f"{STRIKES} batches in a row: now it is the device"
    assert [error.message for error in errors] == [f"no device works: loses: RuntimeError: {LOST}"]
    failures = prepared.root.catalog.read("failures").to_pandas()
    assert set(failures.error_class) == {"WorkerLost"}, "so that the next run tries again"


def test_trainings_go_to_the_devices_that_work(tmp_path):
    write_photographs(tmp_path)
    prepared = planned(write_manifest(tmp_path), tmp_path / "root")
    (job,) = [prepared.job(spec) for spec in prepared.to_do]
    catalog = prepared.root.catalog
    for devices in (["bad"], ["dies"]):
        with pool_on(prepared.root, *devices) as pool, pytest.raises(DeviceError):
            TrainingFanout(pool, catalog).train(job)
    assert recorded(prepared, "failures") == set()
    with pool_on(prepared.root, "loses_once") as pool:
        assert TrainingFanout(pool, catalog).train(job).failure is None
    assert recorded(prepared, "failures") == set()


def test_a_device_that_breaks_while_pictures_are_measured_records_nothing(prepared, monkeypatch):
    job = jobs_of(prepared)[0]
    stylist = Stylist(prepared.root, "cpu")
    computed = stylist.compute(job)

    def broken(*_):
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(stylist._measuring, "measure", broken)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.work.self_test._test", broken)
        with pytest.raises(DeviceError):
            stylist.commit(computed)
        assert recorded(prepared, "results") == recorded(prepared, "failures") == set()
    assert len(stylist.commit(computed).failed) == 2, "of a device that works, the cells fail"


def test_a_sweep_whose_devices_break_publishes_and_shows_what_is_done(prepared, monkeypatch, capsys):
    order = SweepOrder(prepared, ("good", "bad"))
    pool = pool_on(prepared.root, *order.devices)
    run_in_turn, ran = pool.run_in_turn, []

    def once(jobs):
        if ran:
            raise DeviceError("no device works: good: lost", hint="`nst doctor` tests each device")
        ran.append(True)
        return run_in_turn(jobs[:1])

    monkeypatch.setattr(pool, "run_in_turn", once)

    def command():
        with InlineEngine(1) as engine:
            order.run(engine, pool)

    with pytest.raises(SystemExit) as left:
        leave_by(command, Terminal(stderr=True))
    assert left.value.code == FAILED
    said = capsys.readouterr().err
    assert said.startswith("error: no device works: good: lost; 2 of 6 cells are done; page: file://")
    assert said.endswith("(`nst doctor` tests each device); what is done is kept, run again for the rest\n")
    assert "Traceback" not in said
    assert len(recorded(prepared, "results")) == 2
    page = said.partition("page: file://")[2].partition(" (")[0]
    with open(page) as file:  # noqa: PTH123
        assert prepared.plan.name in file.read()
    assert recorded(prepared, "failures") == set()
