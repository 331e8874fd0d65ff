"""A participant within an actor of Ray: `nst work` for one sweep or training and one device. Knows nothing of Ray.

Ray starts the process, and starts another one in its place when it is killed. Whatever it was doing is done once more
by whoever comes to it first, as with any participant that is gone (`tasks.claims`).
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.engine import InlineEngine
from flows.order.participation import Wanted, take_part
from nst.errors import NstError, Stopped
from tasks.events import LOGGER
from tasks.work.devices import choose_devices

if TYPE_CHECKING:
    from flows.order.participation import AnyOrder
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class Said:
    """An event or a warning of a participant.

    Attributes:
        host: Name of its machine.
        pid: Its process.
        logger: Name of the logger.
        level: As `logging` counts it.
        message: The kind of an event, or the text of a warning.
        facts: The facts of an event.
    """

    host: str
    pid: int
    logger: str
    level: int
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


class RayParticipant:
    """Takes part in one sweep or training with one device; its methods may be called from several threads.

    Args:
        root: The root.
        identity: Id of the sweep, or of the training manifest with its models.
        device: The device, which is one of this machine; "" for the one that Ray shows to the actor.
        threads: Threads of computations on a CPU; 0 for as many as Ray grants.
    """

    def __init__(self, root: Root, identity: str, device: str, threads: int) -> None:
        if threads:
            os.environ["OMP_NUM_THREADS"] = str(threads)
        self._root, self._identity, self._device = root, identity, device
        self._stopping = threading.Event()
        self._left_out = ""
        self._has_begun = False
        self._said = queue.SimpleQueue[Said | None]()
        listening = _Listening(self._said)
        logging.getLogger("nst").addHandler(listening)
        LOGGER.addHandler(listening)
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False

    def take_part(self) -> str:
        """Take part until nothing is left; return why this participant was no help, "" if it was or was stopped."""
        why = self._taken_part()
        self._said.put(None)
        return f"{socket.gethostname()}: {why}" if why else ""

    def _taken_part(self) -> str:
        try:
            devices = (self._device,) if self._device else choose_devices()[:1]
            with InlineEngine(1, self._stopping) as engine:
                for _ in take_part(Wanted(self._root, devices, self._identity), engine, self):
                    pass
        except Stopped:
            return ""
        except NstError as error:
            return str(error)
        return self._left_out or ("" if self._has_begun else f"nothing of it is open below {self._root.uri}")

    def heard(self) -> list[Said | None]:
        """Wait for something to be said, and return it with what has been said since; None for the end of its part."""
        said = [self._said.get()]
        while not self._said.empty():
            said.append(self._said.get())
        return said

    def stop(self) -> None:
        """Let `take_part` end; what is committed is kept."""
        self._stopping.set()

    # ---- what it hears as the audience of `take_part` -----------------------------------------------------------
    def begun(self, _order: AnyOrder) -> None:
        """Note that there is something to take part in."""
        self._has_begun = True

    def step(self, key: str, step: int, steps: int) -> None:
        """Hear of the progress of a batch or a training, which nobody asks for."""

    def left_out(self, name: str, error: NstError) -> None:
        """Note why this machine cannot take part."""
        self._left_out = f"{name}: {error}"

    def idle(self) -> None:
        """Hear that there is nothing to do; it does not stay."""


class _Listening(logging.Handler):
    """Keeps events and warnings for whoever asks for them."""

    def __init__(self, said: queue.SimpleQueue[Said | None]) -> None:
        super().__init__()
        self._said = said
        self._host = socket.gethostname()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        facts = getattr(record, "facts", {})
        self._said.put(Said(self._host, os.getpid(), record.name, record.levelno, record.getMessage(), facts))
