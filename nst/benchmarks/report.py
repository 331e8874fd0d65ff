"""What `nst bench` found, as it prints it with `--json` and as others send it. Never imports torch."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from nst.benchmarks.cases import DESCENTS, Case, Scope
from nst.config.fields import Precision  # noqa: TC001  pydantic reads annotations at run time
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS_OF_A_PICTURE: Final = 300
"""Steps of a picture that is optimised, from which seconds of a picture are computed: the default of `gatys`."""

Positive = Annotated[float, Field(gt=0)]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured; nothing that names the machine or its owner."""

    kind: Literal["cpu", "cuda", "mps"]
    """What computes."""
    name: str
    """Model name of the processor or GPU, as the system tells it."""
    processor: str
    """Model name of the processor."""
    cores: int
    threads: int
    """Threads that computed on the processor."""
    memory_bytes: int
    """Of the machine, or of the GPU."""
    system: str
    nst: str
    torch: str
    python: str
    load: float | None = None
    """Load average of the last minute before anything was measured; None where the system does not say."""

    @property
    def title(self) -> str:
        """Name of the machine in the table."""
        return f"{self.name}, {self.cores} cores" if self.kind == "cpu" else self.name

    @property
    def is_busy(self) -> bool:
        """Whether other work had more than half of the cores before anything was measured."""
        return self.load is not None and self.load > self.cores / 2


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Ceiling:
    """How fast convolutions of 3 x 3 are, in channels-last order: the fastest of VGG's shapes counts."""

    precision: Precision
    shapes: tuple[tuple[int, int, int, int], ...]
    """Pictures, channels, rows and columns of each."""
    flops: tuple[Positive, ...]
    """Floating-point operations a second of each, by the median of repeated calls."""
    processor_flops: tuple[Positive, ...] | None
    """Floating-point operations in a second of the processor's time, all threads together; None on another device."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement found: seconds of a step, which are those of all pictures of the batch together."""

    case: Case
    seconds: Positive | None = None
    """Median of the steps; None where it failed."""
    quartiles: tuple[Positive, Positive] | None = None
    """A quarter of the steps is faster than the first, a quarter slower than the second."""
    processor_seconds: float | None = None
    """Median time of the processor of a step, all threads together; None on another device."""
    peak_bytes: int | None = None
    """Largest memory: of the process with its interpreter and torch, or on a GPU of the tensors alone."""
    operations: int | None = None
    """Floating-point operations of the convolutions of a step (`nst.benchmarks.operations`)."""
    of_ceiling: float | None = None
    """Seconds that these would take at the ceiling of the same precision, divided by the seconds of the step."""
    of_ceiling_by_processor: float | None = None
    """Likewise of the processor's time: other work on the machine changes it little, and idle cores do not count."""
    fault: str = ""
    """Why it failed."""

    @property
    def picture_seconds(self) -> float | None:
        """Seconds of a picture: of 300 steps where it is optimised, and of a photograph that a training learns from."""
        steps = STEPS_OF_A_PICTURE if self.case.what in DESCENTS else 1
        return None if self.seconds is None else steps * self.seconds / self.case.batch


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Orchestration:
    """What everything around the computing costs."""

    effect_seconds: Positive
    """An effect that does nothing, by the engine of `--inline`."""
    cells: int | None = None
    """Number of tiny cells of a real sweep; None where none was run."""
    sweep_seconds: Positive | None = None
    """The whole command `nst run --inline` of it."""
    again_seconds: Positive | None = None
    """The same command once more, when all is done."""
    fault: str = ""
    """Why the sweep failed."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Report:
    """One run of `nst bench`."""

    format: Literal["nst-bench-1"]
    taken: str
    """Day, in UTC."""
    scope: Scope
    machine: Machine
    ceilings: tuple[Ceiling, ...]
    measured: tuple[Measured, ...]
    orchestration: Orchestration | None = None


_REPORT: Final = TypeAdapter(Report)
_REPORTS: Final = TypeAdapter(tuple[Report, ...])


def to_json(report: Report) -> str:
    """Return a report as JSON text."""
    return _REPORT.dump_json(report, indent=2).decode()


def reports_from_json(text: str | bytes) -> tuple[Report, ...]:
    """Return the reports of a JSON list.

    Raises:
        InputError: It is none, or a report has another form.
    """
    try:
        return _REPORTS.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"found no reports of nst bench: {where}: {first['msg']}") from error


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    return _REPORT.json_schema()


def summed_up(
    case: Case,
    seconds: Sequence[float],
    processor_seconds: Sequence[float] | None,
    *,
    peak_bytes: int | None,
    operations: int | None,
    ceiling: Ceiling | None,
) -> Measured:
    """Return what repeated steps come to.

    Args:
        case: What was measured.
        seconds: Of each step that counts.
        processor_seconds: Likewise, time of the processor.
        peak_bytes: Largest memory.
        operations: Operations of the convolutions of a step.
        ceiling: Of the same precision; None where unknown.
    """
    median = statistics.median(seconds)
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else [median] * 3
    processor = statistics.median(processor_seconds) if processor_seconds else None
    return Measured(
        case,
        median,
        (low, high),
        processor,
        peak_bytes,
        operations,
        _share(operations, median, ceiling.flops if ceiling else None),
        _share(operations, processor, ceiling.processor_flops if ceiling else None),
    )


def _share(operations: int | None, seconds: float | None, rates: Sequence[float] | None) -> float | None:
    """Return the share of seconds that operations take at the highest rate; None where something is unknown."""
    return operations / max(rates) / seconds if operations and seconds and rates else None
