"""The stylizing of a sweep: its batches in chunks on the device workers, as this participant takes them.

stretches that this run takes -> batches -> chunks of about the same duration -> device workers -> counted and told
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from flows.engine import completed
from nst.errors import Withdrawn
from nst.planning.chunks import chunks
from nst.planning.rates import LearnedRates
from tasks.effect import call_with_policy
from tasks.events import event
from tasks.maintenance import publish_all
from tasks.work.fanout import Chunk, Fanout
from tasks.work.sharing import Sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flows.engine import Engine
    from flows.order.summary import SweepSummary
    from tasks.jobs import BatchOutcome, Failure
    from tasks.pages.live import LivePage
    from tasks.planning.sweep import PreparedSweep
    from tasks.work.account import Account
    from tasks.work.workers import DevicePool

PUBLISH_EVERY_S: Final = 60.0
"""While a sweep runs, its committed rows reach the catalog at least this often."""

CHUNKS_PER_DEVICE: Final = 4
"""The least number of chunks per device, so that all devices finish at about the same time."""


class Run(NamedTuple):
    """What the steps of a run share."""

    prepared: PreparedSweep
    pool: DevicePool
    engine: Engine
    summary: SweepSummary
    page: LivePage
    account: Account
    begun: set[str]
    """Ids of the batches that this run has taken."""
    told: set[str]
    """Ids of the batches that were told of."""

    @property
    def devices(self) -> int:
        """Number of devices."""
        return len(self.pool.devices)

    def report(self) -> None:
        """Report how far the sweep is."""
        self.engine.progress(self.summary.handled, self.summary.wanted, self.summary.note())

    def ended(self, outcome: BatchOutcome) -> None:
        """Tell of a batch that has ended, as soon as it is known; to be called twice tells once."""
        self.page.ended(outcome)
        self.account.ended(outcome)
        if outcome.batch_id in self.told:
            return
        self.told.add(outcome.batch_id)
        self.summary.own_done += len(outcome.done)
        self.summary.own_failed += len(outcome.failed)
        at = outcome.rows[0] if outcome.rows else {}
        about = {**self.summary.about(), "batch": outcome.batch_id}
        event(
            "batch",
            **about,
            device=at.get("device"),
            worker=at.get("worker"),
            done=len(outcome.done),
            failed=len(outcome.failed),
            seconds=outcome.seconds,
        )
        for failure in outcome.failed:
            event("failure", **about, cell=failure.cell_id, error=str(failure))

    def hear(self, done: list[str], failures: tuple[Failure, ...]) -> None:
        """Count what other participants did."""
        self.summary.hear(done, failures)
        self.account.by_others += len(done)
        self.report()


def stylize(run: Run, is_enough: Callable[[], bool]) -> None:
    """Fan the chunks out over the devices, publishing now and then."""
    prepared, engine, summary = run.prepared, run.engine, run.summary
    fanout = Fanout(run.pool, prepared.root.catalog)
    rates = LearnedRates(prepared.plan.history)
    run.report()
    _make_shots(run, fanout)
    sharing = Sharing(prepared, summary.participant, run.hear, lambda: run.pool.is_waiting, is_enough)
    publish = _publishing(run, sharing)
    taken = _chunks(run, sharing, rates, publish)
    for chunk, future in completed(engine, fanout.stylize, taken, lambda: run.devices + sharing.ahead(run.devices)):
        for job, outcome in zip(chunk.jobs, future.result(), strict=True):
            rates.learn(job.batch, outcome.seconds, len(outcome.done))
            summary.done += len(outcome.done)
            summary.add_failures(outcome.failed)
            run.ended(outcome)  # a batch whose workers died may have become several
        run.report()
        publish()


def _publishing(run: Run, sharing: Sharing) -> Callable[[], None]:
    """Return what publishes when it is time to, where this run is the one of all that does."""
    published = time.monotonic()

    def publish() -> None:
        nonlocal published
        if time.monotonic() - published > PUBLISH_EVERY_S and sharing.leads:
            call_with_policy(publish_all, run.prepared.root.catalog)
            published = time.monotonic()

    return publish


def _make_shots(run: Run, fanout: Fanout) -> None:
    """Make the shots of clips on all devices at the same time; the clips are put together afterwards."""
    prepared, devices = run.prepared, run.devices
    if devices == 1 or not prepared.plan.cells.has_clips:
        return
    parts = (part for batch in prepared.plan.batches() for part in prepared.job(batch).parted(devices))
    taken = (Chunk((run.account.takes(part),)) for part in parts)
    for _, future in completed(run.engine, fanout.stylize, taken, 2 * devices):
        future.result()


def _chunks(run: Run, sharing: Sharing, rates: LearnedRates, publish: Callable[[], None]) -> Iterator[Chunk | None]:
    """Yield the batches that this run takes as chunks of jobs, and None while others have all that is left.

    Rates that are learned meanwhile decide how large the next chunk is. Who waits for others publishes for them.
    """
    plan = run.prepared.plan
    found = chunks(
        plan,
        batches=sharing.batches(),
        most=sharing.most_batches,
        least=lambda: CHUNKS_PER_DEVICE * run.devices * sharing.participants,
        left=lambda: sharing.left,
        rates=rates,
    )
    for batches in found:
        run.page.writers = sharing.participants
        is_waiting = sharing.is_waiting and not batches and run.begun <= run.told
        waits_for = max(1, sharing.participants - 1) if is_waiting else 0
        if waits_for != run.summary.waits_for:
            run.summary.waits_for = waits_for
            run.report()
            event("waiting", **run.summary.about(), others=waits_for)
        if not batches:
            publish()
            yield None
            continue
        chunk = Chunk(tuple(run.account.takes(run.prepared.job(batch)) for batch in batches))
        run.begun.update(job.key for job in chunk.jobs)
        run.page.begun(chunk.jobs)
        event(
            "taken",
            **run.summary.about(),
            stretches=sharing.stretches_of(batches),
            batches=[batch.batch_id for batch in batches],
            cells=sum(len(batch.cells) for batch in batches),
        )
        yield chunk


@contextmanager
def giving_up(pool: DevicePool) -> Iterator[None]:
    """Stop the workers where the sweep is withdrawn inside this context: nobody wants what they have in hand."""
    try:
        yield
    except Withdrawn:
        pool.close()
        raise
