"""The table of `nst bench`: the figures of this machine, beside those of reference machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.benchmarks.report import STEPS_OF_A_PICTURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nst.benchmarks.cases import Case
    from nst.benchmarks.report import Measured, Report

_HEADS: Final = (
    "step of", "network", "px", "batch", "precision", "s a step", "+-", "CPU s", "s a picture", "ceiling", "MB",
)  # fmt: skip
_LEGEND: Final = (
    "s a step: median of the steps, of all pictures of a batch together; +-: half the distance of the quartiles",
    f"s a picture: {STEPS_OF_A_PICTURE} steps of a descent, one pass, or a step of a training, divided by the batch",
    "ceiling: the time that the convolutions of a step would take at the rate above, as a share of the step",
)
_NONE: Final = "-"


def table(report: Report, references: Sequence[Report]) -> Iterator[str]:
    """Yield the lines of the table, without markup.

    Args:
        report: What was measured here.
        references: Reports of other machines; those that measured nothing of the same are left out.
    """
    yield from _head(report)
    shared = [each for each in references if any(_same(each, one.case) for one in report.measured)]
    rows = [list(_HEADS)]
    for number, _ in enumerate(shared, start=1):
        rows[0] += [f"[{number}] s", "faster"]
    rows += [
        [*_figures(one), *(cell for each in shared for cell in _beside(one, _same(each, one.case)))]
        for one in report.measured
    ]
    if report.measured:
        yield from _aligned(rows)
        yield from _LEGEND
    for number, each in enumerate(shared, start=1):
        busy = f", load {each.machine.load:.1f} beside it" if each.machine.is_busy else ""
        yield f"[{number}]: {each.machine.title}, torch {each.machine.torch}, {each.taken}{busy}; faster: than it"
    yield from _orchestration(report)


def _head(report: Report) -> Iterator[str]:
    machine = report.machine
    threads = "" if machine.kind != "cpu" or machine.threads == machine.cores else f", {machine.threads} threads"
    yield f"{machine.title}{threads}; torch {machine.torch}, nst {machine.nst}"
    if machine.is_busy:
        load = f"a load of {machine.load:.1f} on {machine.cores} cores before it began"
        yield f"this machine is busy ({load}): figures by the clock say little; CPU s, time of the processor, says more"
    for ceiling in report.ceilings:
        rates = ", ".join(
            f"{channels} channels {flops / 1e9:,.0f}"
            for (_, channels, _, _), flops in zip(ceiling.shapes, ceiling.flops, strict=True)
        )
        yield f"convolutions of 3 x 3, {ceiling.precision}: {ceiling.best / 1e9:,.0f} GFLOP/s ({rates})"


def _figures(one: Measured) -> list[str]:
    case = one.case
    named = [case.what, case.network, str(case.size), str(case.batch), case.precision]
    if one.seconds is None or one.quartiles is None:
        return [*named, "failed", *[_NONE] * 5]
    low, high = one.quartiles
    return [
        *named,
        _seconds(one.seconds),
        f"{(high - low) / 2 / one.seconds:.0%}",
        _seconds(one.processor_seconds),
        _seconds(one.picture_seconds),
        _NONE if one.of_ceiling is None else f"{one.of_ceiling:.0%}",
        _NONE if one.peak_bytes is None else f"{one.peak_bytes / 1e6:,.0f}",
    ]


def _beside(one: Measured, other: Measured | None) -> list[str]:
    """Return the seconds of a reference machine, and how many times as fast this one is."""
    if other is None or other.seconds is None:
        return [_NONE, _NONE]
    return [_seconds(other.seconds), f"{other.seconds / one.seconds:.2f}x" if one.seconds else _NONE]


def _same(report: Report, case: Case) -> Measured | None:
    """Return what a report says of the same measurement, of however many steps."""
    for one in report.measured:
        if _key(one.case) == _key(case):
            return one
    return None


def _key(case: Case) -> tuple[str | int, ...]:
    return (case.what, case.network, case.size, case.batch, case.precision)


def _seconds(seconds: float | None) -> str:
    """Return seconds with three digits that say something.

    Example:
        >>> _seconds(0.01234), _seconds(1.234), _seconds(123.4)
        ('0.0123', '1.23', '123')
    """
    if seconds is None:
        return _NONE
    if seconds >= 100:
        return f"{seconds:,.0f}"
    return next((f"{seconds:.{digits}f}" for digits in range(1, 6) if seconds >= 10 ** (2 - digits)), f"{seconds:.2g}")


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    """Yield rows as lines: words begin below each other, and numbers end so."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = {0, 1, 4}
    for row in rows:
        cells = (
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _orchestration(report: Report) -> Iterator[str]:
    found = report.orchestration
    if found is None:
        return
    yield f"orchestration: {1000 * found.effect_seconds:.3f} ms for each effect, by the engine of --inline"
    if found.sweep_seconds and found.again_seconds:
        again = f"{found.again_seconds:.1f} s again, when all is done"
        yield f"a sweep of {found.cells} tiny cells, whole command: {found.sweep_seconds:.1f} s; {again}"
