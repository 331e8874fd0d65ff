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
)
_CEILING: Final = "ceiling: the {} that the convolutions of a step would take at the rate above, as a share of the step"
_NONE: Final = "-"


def table(report: Report, references: Sequence[Report]) -> Iterator[str]:
    """Yield the lines of the table, without markup.

    Args:
        report: What was measured here.
        references: Reports of other machines; those that measured nothing of the same are left out.
    """
    busy = report.machine.is_busy
    yield from _head(report)
    shared = [each for each in references if any(_same(each, one.case) for one in report.measured)]
    beside = [(each, "CPU s" if busy or each.machine.is_busy else "s") for each in shared]
    rows = [[*_HEADS, *(head for n, (_, unit) in enumerate(beside, 1) for head in (f"[{n}] {unit}", "faster"))]]
    for one in report.measured:
        figures = _figures(one, busy=busy)
        for each, unit in beside:
            figures += _beside(one, _same(each, one.case), unit)
        rows.append(figures)
    if report.measured:
        yield from _aligned(rows)
        yield from _LEGEND
        yield _CEILING.format("CPU s" if busy else "s")
    for one in report.measured:
        if one.case.what == "training" and one.picture_seconds:
            yield f"{one.case.name}: {1 / one.picture_seconds:,.2f} images a second"
    for number, (each, unit) in enumerate(beside, start=1):
        machine = each.machine
        load = f", busy (a load of {machine.load:.1f})" if machine.is_busy else ""
        yield f"[{number}]: {machine.title}, torch {machine.torch}, {each.taken}{load}; faster: this machine, by {unit}"
    yield from _orchestration(report)


def _head(report: Report) -> Iterator[str]:
    machine = report.machine
    threads = "" if machine.kind != "cpu" or machine.threads == machine.cores else f", {machine.threads} threads"
    yield f"{machine.title}{threads}; torch {machine.torch}, nst {machine.nst}"
    if machine.is_busy:
        load = f"a load of {machine.load:.1f} on {machine.cores} cores before it began"
        yield f"this machine is busy ({load}): figures by the clock say little; CPU s, time of the processor, says more"
    for ceiling in report.ceilings:
        by_processor = ceiling.processor_flops if machine.is_busy else None
        rates, unit = by_processor or ceiling.flops, "GFLOP a CPU s" if by_processor else "GFLOP/s"
        each = ", ".join(
            f"{channels} channels {rate / 1e9:,.0f}"
            for (_, channels, _, _), rate in zip(ceiling.shapes, rates, strict=True)
        )
        yield f"convolutions of 3 x 3, {ceiling.precision}: {max(rates) / 1e9:,.0f} {unit} ({each})"


def _figures(one: Measured, *, busy: bool) -> list[str]:
    case, share = one.case, one.of_ceiling_by_processor if busy else one.of_ceiling
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
        _NONE if share is None else f"{share:.0%}",
        _NONE if one.peak_bytes is None else f"{one.peak_bytes / 1e6:,.0f}",
    ]


def _beside(one: Measured, other: Measured | None, unit: str) -> list[str]:
    """Return the seconds of a reference machine, and how many times as fast this one is."""
    ours, theirs = _by(unit, one), _by(unit, other)
    return [_seconds(theirs), f"{theirs / ours:.2f}x" if ours and theirs else _NONE]


def _by(unit: str, one: Measured | None) -> float | None:
    """Return the seconds of a step by the clock or of the processor."""
    return None if one is None else one.seconds if unit == "s" else one.processor_seconds


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
