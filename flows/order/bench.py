"""The order of the measurements of `nst bench`: the ceilings first, then the cases, then what is around them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flows.engine import InlineEngine, completed
from nst.benchmarks.cases import cases, ceiling_shapes
from nst.benchmarks.report import Ceiling, Machine, Measured, Orchestration, Report
from nst.errors import DeviceError
from tasks.bench.machine import load_average, this_machine
from tasks.bench.orchestration import CELLS, EFFECTS, nothing, seconds_of, sweep_twice
from tasks.bench.trial import Failed
from tasks.devices import fastest_precision

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from nst.benchmarks.cases import Scope
    from nst.config.fields import Precision
    from tasks.bench.trial import Trial


class Session:
    """The measurements of one device, and what is known of them so far.

    Args:
        device: As users name it.
        scope: How much is measured.

    Attributes:
        done: Number of measurements that are done or have failed.
        total: Number of all.
        faults: What failed, and why.
    """

    def __init__(self, device: str, scope: Scope) -> None:
        self.device, self.scope = device, scope
        self._precisions = precisions_of(device)
        self._cases = cases(scope, self._precisions, is_cuda=device.startswith("cuda"))
        self._load = load_average()
        self._machine: Machine | None = None
        self._ceilings: list[Ceiling] = []
        self._measured: list[Measured] = []
        self._orchestration: Orchestration | None = None
        self.faults: list[str] = []
        self.done = 0
        self.total = len(self._precisions) + len(self._cases) + 1

    def run(self, trial: Trial, show: Callable[[int, int, str], None], stopping: threading.Event) -> None:
        """Measure one after the other.

        Args:
            trial: Measures.
            show: Called with the numbers of measurements that are done and of all, and what is next.
            stopping: Ends it once it is set.

        Raises:
            DeviceError: Nothing can be measured on the device.
            Stopped: It was ended; what is known stays.
        """
        show(0, self.total, f"importing torch for {self.device}")
        described = trial.ask("describe")
        if isinstance(described, Failed):
            raise DeviceError(f"{self.device} cannot be measured: {described.why}")
        self._machine = this_machine(self.device, described, self._load)
        shapes = ceiling_shapes(is_cuda=self.device.startswith("cuda"))
        for precision in self._precisions:
            show(self.done, self.total, f"convolutions, {precision}")
            ceiling = trial.ask("measure_ceiling", precision, shapes)
            if isinstance(ceiling, Failed):
                self.faults.append(f"convolutions, {precision}: {ceiling.why}")
            else:
                self._ceilings.append(ceiling)
            self.done += 1
        ceilings = {ceiling.precision: ceiling for ceiling in self._ceilings}
        for case in self._cases:
            show(self.done, self.total, case.name)
            measured = trial.ask("measure", case, ceilings.get(case.precision))
            if isinstance(measured, Failed):
                measured = Measured(case, fault=measured.why)
                self.faults.append(f"{case.name}: {measured.fault}")
            self._measured.append(measured)
            self.done += 1
        self._around(show, stopping)
        show(self.done, self.total, "")

    def _around(self, show: Callable[[int, int, str], None], stopping: threading.Event) -> None:
        show(self.done, self.total, "orchestration")
        with InlineEngine(2, stopping) as engine:
            effect_seconds = seconds_of(lambda: list(completed(engine, nothing, range(EFFECTS), 4))) / EFFECTS
        self._orchestration = Orchestration(effect_seconds)
        if self.scope != "quick":
            show(self.done, self.total, f"a sweep of {CELLS} tiny cells")
            found = sweep_twice(self.device, stopping)
            if isinstance(found, str):
                self.faults.append(f"a sweep of {CELLS} tiny cells: {found}")
                self._orchestration = Orchestration(effect_seconds, CELLS, fault=found)
            else:
                self._orchestration = Orchestration(effect_seconds, CELLS, *found)
        self.done += 1

    def report(self) -> Report | None:
        """Return what is known so far; None while not even the device is."""
        if self._machine is None:
            return None
        return Report(
            format="nst-bench-1",
            taken=datetime.now(UTC).date().isoformat(),
            scope=self.scope,
            machine=self._machine,
            ceilings=tuple(self._ceilings),
            measured=tuple(self._measured),
            orchestration=self._orchestration,
        )


def precisions_of(device: str) -> tuple[Precision, ...]:
    """Return the precisions that a device is measured in: those that it has instructions for.

    Args:
        device: As users name it.
    """
    always: tuple[Precision, ...] = ("float32", "tf32") if device.startswith("cuda") else ("float32",)
    fastest = fastest_precision(device)
    return always if fastest in always or device == "mps" else (*always, fastest)
