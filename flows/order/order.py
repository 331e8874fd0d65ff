"""A planned sweep or training, of one shape for whoever prints or runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from tasks.planning.sweep import PreparedSweep
from tasks.planning.training import PreparedTraining
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from flows.engine import Engine
    from flows.order.summary import Summary
    from tasks.work.workers import OnStep

Prepared = TypeVar("Prepared", PreparedSweep, PreparedTraining)


@dataclass(frozen=True)
class Order(ABC, Generic[Prepared]):
    """What a request comes to; everything that can be wrong with it was found when it was planned.

    Attributes:
        kind: `sweep` or `train`, the name of its flow.
        noun: What is counted: `cells` or `models`.
        prepared: The plan.
        devices: Devices to use, one worker each, at least one.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]

    prepared: Prepared
    devices: tuple[str, ...]

    @property
    @abstractmethod
    def to_do(self) -> int:
        """Number of cells or models that are not done yet."""

    @property
    def page(self) -> str:
        """URI of the page that shows what is made while it is made, "" if there is none."""
        return ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the inputs and costs some cells or less, such as pictures that cannot be used."""
        return ()

    @property
    def most_workers(self) -> int:
        """Number of workers that can have something to do at the same time."""
        return self.to_do

    @abstractmethod
    def plan_table(self) -> Group:
        """Return what `nst plan` prints."""

    def calibrate(self) -> None:
        """Try out on this machine's device what the plan has no durations for, for a few seconds; the plan stays."""

    def plan_json(self) -> dict[str, Any]:
        """Return what `nst plan --json` prints."""
        return self.prepared.to_json()

    def workers(self, on_step: OnStep | None = None) -> DevicePool:
        """Start the device workers that are needed; they load while the caller prepares the rest.

        Args:
            on_step: Called with the progress of batches and trainings.
        """
        return DevicePool(self.prepared.root, self.devices[: self.most_workers], on_step)

    @abstractmethod
    def run(self, engine: Engine, pool: DevicePool) -> Summary:
        """Do what is not done yet.

        Args:
            engine: Carries out the effects; with as many threads as there are devices.
            pool: The device workers, which are stopped when the last of them is done.

        Raises:
            UserError: The weights of a backbone cannot be obtained; nothing was started.
            TransientError: The store did not answer; what is committed is kept, and running again does the rest.
            Stopped: The engine was stopped; what is committed is kept.
            DeviceError: No device works any more; what is committed is kept.
        """

    @abstractmethod
    def help(
        self, engine: Engine, workers: Callable[[], DevicePool], is_enough: Callable[[], bool] = lambda: False
    ) -> Summary:
        """Do what others leave of an order that somebody else has submitted; errors as `run`.

        Args:
            engine: Carries out the effects; with as many threads as there are devices.
            workers: Starts the device workers, or returns those that are there; they are left as they are.
            is_enough: Whether this participant has done its share: it takes nothing more then.
        """
