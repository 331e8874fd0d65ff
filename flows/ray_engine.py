"""Runs an order on Ray: one actor for each device, each a participant like any other, and this process, which watches.

    plan stored below the root -> actors, which divide it by claims -> this process follows, publishes and reports

The problem: Ray places processes on the machines of a cluster and replaces those that die. It knows nothing of cells,
and what it repeats, it repeats from the beginning.

The rule: Ray is asked for nothing else. An actor runs `take_part` (`flows.ray_actor`), which is safe to repeat, since
the catalog says what is done. This process takes part in the order, too, with a pool whose devices are always in use by
others as long as there are actors: so it claims nothing and hears of everything. When no actor is left, whatever it
then claims fails for lack of a device.

This is the only file that imports Ray, and importing it is what needs the extra `ray`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from flows.counted import counted
from flows.engine import InlineEngine, watching
from flows.here import say_page
from flows.order.submission import put_on_record
from flows.ray_actor import RayParticipant
from flows.stop import GRACE_S, begin, outcome, stop_signals
from nst.errors import DeviceError, UserError
from tasks.work.devices import usable_cores
from tasks.work.sharing import has_claims
from tasks.work.workers import DevicePool

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise UserError(f"--engine ray needs the extra 'ray': {missing}", hint="pip install 'nst-batch[ray]'") from missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.engine import Watcher
    from flows.here import Say
    from flows.order.order import Order
    from flows.order.summary import Summary
    from flows.ray_actor import Said
    from tasks.root import Root

LOGGER: Final = logging.getLogger("nst.ray")

_OBJECT_STORE_BYTES: Final = 80 * 2**20
"""Of a local cluster: the least that Ray accepts. Nothing of ours passes through it."""


_ANSWERS_S: Final = 10.0
"""Seconds in which somebody has to answer at the address of a cluster."""

_UNUSABLE: Final = "`ray status` looks at it; one that asks for a token wants RAY_AUTH_MODE=token, and Ray's token here"

_SHORT: Final = os.environ.get("RAY_TMPDIR", "/tmp")  # noqa: S108  as Ray itself
"""Folder of the files of a local cluster, sockets among them, whose names may have 107 characters."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one participant is to run.

    Attributes:
        device: Its device, "" for the GPU that Ray shows to the actor.
        threads: Threads of its computations on a CPU; 0 for as many as Ray grants.
        options: What Ray is asked for.
    """

    device: str
    threads: int = 0
    options: dict[str, Any] = field(default_factory=dict)


def local_places(devices: Sequence[str]) -> tuple[Place, ...]:
    """Return a place for each of these devices of this machine, with the threads that a run without Ray would have."""
    threads = max(1, usable_cores() // max(1, sum(device == "cpu" for device in devices)))
    return tuple(Place(device, threads, {"num_cpus": 1}) for device in devices)


def cluster_places(address: str) -> tuple[Place, ...]:
    """Connect to a cluster; return a place for each of its GPUs, or else one for each machine with all of its CPUs.

    Args:
        address: As `ray.init` takes it: `auto`, `<host>:6379` of its head.

    Raises:
        UserError: No cluster answers there, its versions are others, or it has no device.
    """
    try:
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "://" not in address:  # Ray itself asks an address without anybody for minutes
            socket.create_connection((host, int(port)), _ANSWERS_S).close()
        ray.init(address, logging_level=logging.WARNING, log_to_driver=False)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"no Ray cluster can be used at {address}: {reason}", hint=_UNUSABLE) from error
    machines = [machine for machine in ray.nodes() if machine["Alive"]]
    if gpus := sum(int(machine["Resources"].get("GPU", 0)) for machine in machines):
        return (Place("", options={"num_gpus": 1, "num_cpus": 1}),) * gpus
    places = tuple(
        Place("cpu", options={"num_cpus": cpus, "scheduling_strategy": _near(machine["NodeID"])})
        for machine in machines
        if (cpus := int(machine["Resources"].get("CPU", 0)))
    )
    if not places:
        raise UserError(f"the Ray cluster at {address} has neither GPUs nor CPUs", hint="add a worker with `ray start`")
    return places


def _near(machine: str) -> Any:
    """Return the wish to run on one machine, or on another one when that is gone."""
    return NodeAffinitySchedulingStrategy(machine, soft=True)


def run_on_ray(order: Order[Any], places: Sequence[Place], watcher: Watcher, say: Say) -> Summary:
    """Run an order by participants at these places: on the cluster that is connected, or else on a local one.

    Args:
        order: The planned sweep or training.
        places: Where participants are to run.
        watcher: Called with the progress of the run.
        say: Called with what the run waits for.

    Raises:
        UserError: The store of the root cannot be shared, or an input has a signed link.
        DeviceError: No participant is left, and something is still to be done; what is committed is kept.
        Stopped: Control-C or SIGTERM ended the run; what is committed is kept.
    """
    root = order.prepared.root
    if not has_claims(root):
        text = f"{root.uri} lacks create-only writes, by which participants divide a sweep"
        raise UserError(text, hint="run it with --inline")
    order = put_on_record(order)
    places = places[: order.most_workers]
    stopping = threading.Event()
    # Ray prints what it meets, also while it ends, and the standard output is for results.
    with contextlib.redirect_stdout(sys.stderr), _cluster(places, say):
        say_page(order, say)
        with (
            stop_signals(stopping),  # after Ray, which has handlers of its own
            watching(watcher),
            ActorPool(root, order.prepared.identity, places) as pool,
            InlineEngine(1, stopping) as engine,
        ):
            summary = outcome(begin(lambda: order.run(engine, pool)), stopping)
    summary.done, summary.done_by_others = summary.done_by_others, 0  # this process itself computes nothing
    return summary


@contextlib.contextmanager
def _cluster(places: Sequence[Place], say: Say) -> Iterator[None]:
    """Be connected to a cluster inside this context: a local one that ends with it, unless there is one already."""
    with contextlib.ExitStack() as stack:
        if ray.is_initialized():
            say(f"starting {counted(len(places), 'participants')} on Ray")
            stack.callback(ray.shutdown)
        else:
            say(f"starting Ray, and participants on {', '.join(place.device for place in places)}")
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(dir=_SHORT, prefix="nst-ray-", ignore_cleanup_errors=True)
            )
            stack.callback(ray.shutdown)
            ray.init(
                "local",
                num_cpus=len(places),
                num_gpus=0,  # each actor is told its device
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                logging_level=logging.ERROR,
                log_to_driver=False,  # the actors' events and warnings are heard
                _temp_dir=folder,
            )
        yield


class ActorPool(DevicePool):
    """The devices of all actors, as the order of steps sees them: in use by others as long as an actor goes on.

    Args:
        root: The root.
        identity: Id of the sweep, or of the training manifest with its models.
        places: Where actors are to run, one each.
    """

    def __init__(self, root: Root, identity: str, places: Sequence[Place]) -> None:
        super().__init__(root, ())
        self.devices = ("ray",)  # the order hands out work for one, and none of it as long as actors go on
        kind = ray.remote(RayParticipant)
        always = {"max_restarts": -1, "max_task_retries": -1, "max_concurrency": 3}  # beside `take_part` the others
        self._actors = [
            kind.options(**always, **place.options).remote(root, identity, place.device, place.threads)
            for place in places
        ]
        self._parts = [actor.take_part.remote() for actor in self._actors]
        self._hearing = threading.Thread(target=self._hear, args=(tuple(self._actors),), daemon=True, name="ray-hear")
        self._hearing.start()

    @property
    def is_waiting(self) -> bool:
        """Whether an actor goes on: then nothing is to be claimed here."""
        return bool(self._going_on(0.0))

    def _going_on(self, within_s: float) -> list[Any]:
        """Return the parts that have not ended within so many seconds."""
        _, going_on = ray.wait(self._parts, num_returns=len(self._parts), timeout=within_s)
        return list(going_on)

    def run(self, _job: Any, _lost: object = None, *, attempts: int = 0) -> NoReturn:  # noqa: ARG002  as `DevicePool.run`
        """Say that no actor is left that could run a job."""
        self._refuse()

    def run_in_turn(self, _jobs: Any) -> NoReturn:
        """Say that no actor is left that could run jobs."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        """Raise what ended the actors.

        Raises:
            DeviceError: They could not take part, or cannot be started.
            Exception: A bug of ours, with the trace of the actor.
        """
        reasons: dict[str, None] = {}
        for part in self._parts:
            try:
                reasons[ray.get(part)] = None
            except RayTaskError:
                raise
            except RayError as error:
                reasons[" ".join(str(error).split())] = None
        text = "; ".join(filter(None, reasons))
        raise DeviceError(
            f"no participant on Ray is left{f': {text}' if text else ''}",
            hint="every machine of the cluster needs the same nst, the root, and the inputs",
        )

    def _hear(self, actors: Sequence[Any]) -> None:
        """Log here what the actors log, and that one has been replaced, until each has ended or is killed."""
        waiting = {actor.heard.remote(): actor for actor in actors}
        pids: dict[Any, int] = {}
        while waiting:
            (answer,), _ = ray.wait(list(waiting))
            actor = waiting.pop(answer)
            try:
                heard = ray.get(answer)
            except RayError:  # it was killed for good, or cannot be started, which its part says
                continue
            for said in filter(None, heard):
                if pids.setdefault(actor, said.pid) != said.pid:
                    LOGGER.warning("the participant on %s was killed, and Ray has started another", said.host)
                    pids[actor] = said.pid
                _log_again(said)
            if None not in heard:
                waiting[actor.heard.remote()] = actor

    def close(self) -> None:
        """Ask the actors to stop, and kill those that do not end soon: what is not committed is done again later."""
        actors, self._actors = self._actors, []
        if actors and self.is_waiting:
            for actor in actors:
                actor.stop.remote()
            self._going_on(GRACE_S / 2)
        self._hearing.join(GRACE_S / 10)  # what they said last
        last = [actor.heard.remote() for actor in actors]  # which ends with the actor's process
        for actor in actors:
            ray.kill(actor)
        if last:
            ray.wait(last, num_returns=len(last), timeout=GRACE_S / 5)
        super().close()


def _log_again(said: Said) -> None:
    """Log in this process what an actor has logged in its own."""
    logger = logging.getLogger(said.logger)
    if not logger.isEnabledFor(said.level):
        return
    about = {
        "name": said.logger,
        "levelno": said.level,
        "levelname": logging.getLevelName(said.level),
        "msg": said.message if said.facts else f"{said.host}: {said.message}",
        "facts": {"host": said.host, "pid": said.pid, **said.facts},
    }
    logger.handle(logging.makeLogRecord(about))
