"""The batches of a sweep in chunks of about the same duration: what one device is given at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.planning.rates import rate_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nst.planning.batches import Plan
    from nst.planning.rates import Rate
    from nst.records import Batch

MAX_CHUNKS: Final = 2000
"""Most chunks of a sweep."""

TARGET_SECONDS: Final = 40.0
"""How long a chunk is to take."""


def chunks(
    plan: Plan,
    target_seconds: float = TARGET_SECONDS,
    max_chunks: int = MAX_CHUNKS,
    *,
    batches: Iterable[Batch | None] | None = None,
    most: int | None = None,
    least: Callable[[], int] = lambda: 1,
    left: Callable[[], float] = lambda: 1.0,
    rates: Mapping[Rate, float] | None = None,
) -> Iterator[tuple[Batch, ...]]:
    """Yield the batches in chunks of about `target_seconds` each; a task run does one chunk.

    A batch whose rate is not known is a chunk by itself, as far as `max_chunks` allows.

    Args:
        plan: The plan.
        target_seconds: Duration of a chunk on one device.
        max_chunks: The most chunks, as long as `most` allows.
        batches: Batches of the plan, taken one by one; by default all. A None among them ends a chunk, and is an empty
            chunk where none has begun: there is nothing to do at the moment.
        most: The most batches of a chunk.
        least: Returns about the least number of chunks that the sweep is divided into, so that all devices have work to
            the end.
        left: Returns the share of the sweep that is still to be handed out, of which a chunk is one part in `least`:
            where others take from it as well, chunks become shorter towards the end, so that all end together.
        rates: Seconds per unit of cost; by default those of the history. They are looked up when a chunk is made, so
            that a mapping that grows while the sweep runs decides about the chunks to come.
    """
    rates = plan.history if rates is None else rates
    costs = plan.costs()
    chunk: list[Batch] = []
    cost = seconds = target = 0.0
    for batch in plan.batches() if batches is None else batches:
        if batch is None:
            yield tuple(chunk)
            chunk, cost, seconds = [], 0.0, 0.0
            continue
        if not chunk:
            known = [rates[rate] for rate in costs if rate in rates]
            # What is not known yet is taken for as slow as the slowest that is: chunks are rather too short.
            whole = sum(each * rates.get(rate, max(known, default=0.0)) for rate, each in costs.items())
            target = min(target_seconds, whole * left() / least()) if known else target_seconds
        rate = rates.get(rate_of(batch.cells[0].config))
        chunk.append(batch)
        cost += batch.cost
        seconds += target if rate is None else batch.cost * rate
        if len(chunk) == most or (seconds >= target and cost >= plan.cost / max_chunks):
            yield tuple(chunk)
            chunk, cost, seconds = [], 0.0, 0.0
    if chunk:
        yield tuple(chunk)
