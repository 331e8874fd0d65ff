"""What the command prints about plans, runs and sweeps. Text only: no decisions here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.order.sweep import SweepSummary
    from tasks.planning.sweep import Prepared
    from tasks.status import SweepStatus

_FAILURES_SHOWN = 10


def duration(seconds: float) -> str:
    """Return seconds as people say them: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def size(number: float) -> str:
    """Return bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def plan_table(prepared: Prepared) -> Table:
    """Return the plan: what it holds, what is done, what is to do and why."""
    plan = prepared.plan
    table = Table(title=f"sweep {plan.name}  {plan.sweep_id[:8]}  below {prepared.store.uri}", show_header=False)
    table.add_row("cells", f"{plan.total:,}")
    methods = plan.cells.methods()
    if len(methods) > 1:
        table.add_row("of", ", ".join(f"{name}: {count:,}" for name, count in methods.items()))
    table.add_row("done", f"{plan.done:,}")
    for reason, count in plan.reasons.items():
        if reason != "done" and count:
            table.add_row(f"to do: {reason}", f"{count:,}")
    if untrained := sum(len(training.to_do) for training in prepared.trainings):
        table.add_row("models to train first", f"{untrained:,}")
    table.add_row("batches", f"{plan.batch_count:,}")
    seconds = plan.seconds
    table.add_row(
        "time", "unknown: nothing like it in the catalog yet" if seconds is None else f"about {duration(seconds)}"
    )
    table.add_row("pictures", f"about {size(plan.output_bytes)}")
    return table


def summary_lines(summary: SweepSummary, root: str) -> Iterator[str]:
    """Yield what a run did, and where to look."""
    before = f", {summary.done_before} were done before" if summary.done_before else ""
    yield f"sweep {summary.name} ({summary.sweep_id[:8]}): {summary.done} done in {duration(summary.seconds)}{before}"
    if summary.failed:
        yield f"{summary.failed} failed; run again to try them again"
        for failure in summary.failures[:_FAILURES_SHOWN]:
            yield f"  {failure.cell_id[:8]} {failure.error_class}: {failure.message}"
        if summary.failed > _FAILURES_SHOWN:
            yield f"  and {summary.failed - _FAILURES_SHOWN} more in the catalog's failures table"
    if summary.gallery:
        yield f"pictures: {summary.gallery}"
    yield f"catalog:  {root.rstrip('/')}/catalog/results"


def status_table(statuses: Sequence[SweepStatus]) -> Table:
    """Return one line per sweep."""
    table = Table("sweep", "id", "submitted (UTC)", "cells", "done", "failed", "to do", "state")
    for status in statuses:
        if status.running:
            state = "[cyan]running[/]"
        elif status.to_do:
            state = "[yellow]incomplete[/]"
        else:
            state = "[red]failures[/]" if status.failed else "[green]done[/]"
        numbers = (f"{count:,}" for count in (status.total, status.done, status.failed, status.to_do))
        table.add_row(status.name, status.sweep_id[:8], f"{status.submitted_at:%Y-%m-%d %H:%M}", *numbers, state)
    return table
