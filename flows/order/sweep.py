"""The order of a sweep's steps, written once: inline and Prefect runs differ only in the engine that they pass.

    manifest -> plan -> sweep registered -> missing models trained -> chunks of batches on device workers -> published
    -> gallery, which is written first and follows the run

The problem: a sweep runs for hours on several devices, and at any moment a picture can be broken, a worker can die, the
store can be unreachable, or somebody can press Control-C. Nothing that is finished may be lost or done twice.

The rule: what is done is decided by the catalog alone, and nothing else is remembered. So there is no repair and no
resuming: after whatever happened, the same call does the rest and nothing else. Knows no tensor, no file format and no
Prefect.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from flows.order.order import Order
from flows.order.stylizing import Run, giving_up, stylize
from flows.order.summary import RUN_AGAIN, SUBMIT_AGAIN, SweepSummary
from flows.order.tables import sweep_table
from flows.order.training import train_missing
from nst.errors import DeviceError, Stopped, Withdrawn
from tasks.devices import find_devices
from tasks.effect import call_with_policy
from tasks.events import event
from tasks.heartbeat import Watch, beating
from tasks.maintenance import publish_all, tidy
from tasks.models.backbone_weights import fetch_weights
from tasks.pages.live import JOINING, LivePage
from tasks.pages.report import page_uri, report
from tasks.planning.history import known_rates
from tasks.planning.only import read_listed
from tasks.planning.registration import register_sweep
from tasks.planning.stored import joined, submitted_by
from tasks.planning.sweep import PreparedSweep, prepare_sweep, replan
from tasks.status import count_done
from tasks.work.account import Account
from tasks.work.calibration import calibrate
from tasks.work.judging import judges_all
from tasks.work.sharing import leave

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from flows.engine import Engine
    from flows.order.request import Request
    from nst.planning.batches import Plan
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.pages.heads import Heads
    from tasks.work.workers import DevicePool


def plan_sweep(request: Request, source: ManifestSource) -> SweepOrder:
    """Plan a sweep: everything that can be wrong with it is found here, before anything starts.

    Args:
        request: What the user asks for.
        source: The request's manifest as it was read.

    Raises:
        UserError: The manifest, an input or the root cannot be used, or the budget is exceeded.
    """
    prepared = prepare_sweep(
        source,
        request.root,
        inputs=request.inputs,
        devices=len(request.devices),
        confirmed=request.confirmed,
        listed=read_listed(request.only) if request.only is not None else None,
    )
    return SweepOrder(prepared, request.devices)


class SweepOrder(Order[PreparedSweep]):
    """A planned sweep and its devices."""

    kind = "sweep"
    noun = "cells"

    @property
    def page(self) -> str:
        """URI of the page that shows the pictures as they are made."""
        return page_uri(self.prepared)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the images, each kind with all that it holds of."""
        return self.prepared.notes

    @property
    def to_do(self) -> int:
        """Number of cells that are not done yet."""
        return self.prepared.plan.to_do

    @property
    def most_workers(self) -> int:
        """As many as there are cells; a clip alone has shots for all of them."""
        return len(self.devices) if self.prepared.plan.cells.has_clips else self.to_do

    def calibrate(self) -> None:
        """Measure seconds and memory of every kind of cells that is to be run, and keep them in the user's cache."""
        calibrate((config for config, _ in self.prepared.plan.largest_batches()), find_devices()[0])

    def plan_table(self) -> Group:
        """Return the plan as a table, for `nst plan`."""
        return sweep_table(self.prepared)

    def run(self, engine: Engine, pool: DevicePool) -> SweepSummary:
        """Run the cells that are not done yet; errors as `run_sweep`."""
        return run_sweep(self.prepared, pool, engine)

    def help(
        self, engine: Engine, workers: Callable[[], DevicePool], is_enough: Callable[[], bool] = lambda: False
    ) -> SweepSummary:
        """Run cells of a sweep that somebody else has submitted; errors as `run_sweep`."""
        if not self.to_do:
            return end_sweep(self.prepared, engine)
        return run_sweep(self.prepared, workers(), engine, helping=True, is_enough=is_enough)


def run_sweep(
    prepared: PreparedSweep,
    pool: DevicePool,
    engine: Engine,
    *,
    helping: bool = False,
    is_enough: Callable[[], bool] = lambda: False,
) -> SweepSummary:
    """Run the cells of a planned sweep that are not done yet.

    Args:
        prepared: The plan.
        pool: The device workers; they are stopped when the last cell is done.
        engine: Carries out the chunks; with as many threads as there are workers.
        helping: Whether somebody else has submitted the sweep: the workers go on to the next one, and the page is
            written at the end only if nobody else is left who would.
        is_enough: Whether this run has done its share: it leaves what is not begun to others.

    Raises:
        UserError: The weights of a backbone cannot be obtained; nothing was started.
        TransientError: The store did not answer; what is committed is kept, and running again does the rest.
        Stopped: The engine was stopped; what is committed is published, and the page shows it.
        DeviceError: No device works any more; as after a stop, and others that do the sweep go on.
    """
    clock = time.monotonic()
    plan, root = prepared.plan, prepared.root
    if not plan.to_do:
        return end_sweep(prepared, engine)
    summary = _summary(plan, SUBMIT_AGAIN if helping else RUN_AGAIN)
    register_sweep(prepared)
    call_with_policy(publish_all, root.catalog)  # from now on plain readers find tables below the root
    for backbone, weights in prepared.weights.items():
        if weights.uri == "torchvision":
            fetch_weights(backbone.name)
    stop: Stopped | DeviceError | None = None
    heads: Heads | None = None
    try:
        with beating(root.store, plan.sweep_id) as participant, nullcontext() if helping else pool:
            others = Watch(root.store, plan.sweep_id).look() - {participant}
            prepared = _train_first(joined(prepared, with_others=bool(others)), pool, engine)
            summary.done_by_others = prepared.plan.done - plan.done
            summary.participant = participant
            to_do, devices = prepared.plan.to_do, list(pool.devices)
            event("sweep_begun", **summary.about(), cells=plan.total, to_do=to_do, devices=devices)
            # Of runs that begin together, one writes the page, and the others wait for it to be there.
            joins = 0 if not others else 1 if participant < min(others) else JOINING
            with LivePage(prepared, joins=joins) as page:
                run = Run(prepared, pool, engine, summary, page, _account(prepared, pool, summary), set(), set())
                try:
                    with run.account, pool.watched(page.step, run.ended, page.previewed), giving_up(pool):
                        stylize(run, is_enough)
                finally:
                    heads = page.heads
    except (Stopped, DeviceError) as signal:  # what is done is published and shown as at any other end
        stop = signal
    call_with_policy(publish_all, root.catalog)
    summary.seconds = time.monotonic() - clock
    only_clips = all(content and content.clip for content in plan.cells.contents)  # judges look at stills
    summary.judged = only_clips or judges_all(config for config, _ in plan.largest_batches())
    done = call_with_policy(count_done, root, prepared.plan.cells.ids)
    summary.lost = max(0, summary.expected - done)
    summary.frames = prepared.frames(root.catalog.keys("results"))
    event("sweep_ended", **summary.facts(), lost=summary.lost, seconds=summary.seconds, stopped=stop is not None)
    if done + summary.failed >= summary.wanted:
        leave(root, plan, all_done=done == summary.wanted)
    if not summary.lost and not (helping and Watch(root.store, plan.sweep_id).look()):
        # A damaged root is left as it is, for `nst fsck`.
        if not stop:
            tidy(root.catalog)
            known_rates(root.catalog)  # keeps them for the next plan
        _show(prepared, engine, summary, heads)
    if stop:
        # What a stopped worker committed and had not acknowledged yet is done, too.
        why = stop.message if isinstance(stop, DeviceError | Withdrawn) else ""
        about_page = summary.gallery and f"page: {summary.gallery}"  # one that helps leaves it to the others
        parts = (why, f"{done} of {summary.total} cells are done", summary.frames_kept, about_page)
        raise type(stop)("; ".join(filter(None, parts)), hint=stop.hint) from stop
    return summary


def end_sweep(prepared: PreparedSweep, engine: Engine) -> SweepSummary:
    """Put a sweep on record of which nothing is to be done, and write its page.

    Other sweeps may have done what this one had left, and named it otherwise.
    """
    plan, catalog, summary = prepared.plan, prepared.root.catalog, _summary(prepared.plan)
    register_sweep(prepared)
    call_with_policy(publish_all, catalog)
    leave(prepared.root, plan, all_done=plan.done == summary.wanted)
    _show(prepared, engine, summary)
    return summary


def _summary(plan: Plan, again: str = RUN_AGAIN) -> SweepSummary:
    """Return the summary before anything is run."""
    return SweepSummary(
        sweep_id=plan.sweep_id,
        name=plan.name,
        again=again,
        total=plan.total,
        done_before=plan.done,
        not_chosen=plan.not_chosen,
    )


def _account(prepared: PreparedSweep, pool: DevicePool, summary: SweepSummary) -> Account:
    """Return the account of a participant that begins now."""
    return Account(
        prepared.root.catalog,
        summary.participant,
        pool,
        kind="sweep",
        name=prepared.name,
        sweep_id=prepared.plan.sweep_id,
        submitted_by=submitted_by(prepared),
        history=prepared.plan.history,
        by_others=summary.done_by_others,
    )


def _show(prepared: PreparedSweep, engine: Engine, summary: SweepSummary, heads: Heads | None = None) -> None:
    """Write the sweep's page and contact sheet, and show them where the engine has a page."""
    page = report(prepared, heads)
    summary.gallery = page.uri
    engine.show(page.rows, page.contact_sheet)


def _train_first(prepared: PreparedSweep, pool: DevicePool, engine: Engine) -> PreparedSweep:
    """Train the models of cells that name a training manifest; return the plan in which these cells know their weights.

    A model whose training fails fails the cells that need it, and no others.
    """
    missing = [training for training in prepared.trainings if training.to_do]
    for training in missing:
        train_missing(training, pool, engine, "models first")
    return replan(prepared) if missing else prepared
