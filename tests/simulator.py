"""Deterministic simulation of the catalog: workers, publishers, a compactor, a collector and readers over one store.

Publishers clear records away and merge files as they publish; each process has a clock of its own, minutes off.

Every actor is a greenlet that runs the real code of `tasks/catalog`; at every request to the store one seed decides who
runs next and what goes wrong: a crash before or after the request's effect, an answer that is lost and retried, a store
that gives up, a request that lands after its client died or gave up. `python tests/simulator.py --seeds 3000` runs many
seeds; a seed that fails is run again alone by `--start SEED --seeds 1`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import greenlet

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from nst.errors import StorageError
from tasks.catalog import Catalog
from tasks.store import Stat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START = datetime(2026, 12, 1, tzinfo=UTC).timestamp() - 700  # the month changes under way
CELLS = [f"c{i:02d}" for i in range(20)]
BATCHES = {
    "s1": [CELLS[i : i + 2] for i in range(0, 14, 2)],
    "s2": [CELLS[i : i + 3] for i in range(3, 20, 2)],
}
DROPPED = "c05"
"""A cell that two batches hold and that is dropped again and again."""
KEPT_S = (0.0, 20.0, 600.0)
"""For how long records are kept, by the seed: also no time at all, since nothing but comfort may depend on it."""
MOST_SMALL = 2
"""Small files at which publishing merges them."""
SKEW_S = 120.0
"""How far a process's clock is off, before or behind."""
GAVE_UP = "the store did not answer before the deadline"
LEAST_OPS, MOST_OPS = 1_800, 13_000


class Crash(BaseException):
    """The actor's process died."""


@dataclass
class World:
    """The store's objects, the requests still under way, and the dice."""

    seed: int
    create_only: bool = True
    objects: dict[str, bytes] = field(default_factory=dict)
    late: list[tuple[int, str, bytes | None, bool]] = field(default_factory=list)
    ops: int = 0
    calm: bool = False
    stats: Counter[str] = field(default_factory=Counter)
    hub: Any = None

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def step(self) -> None:
        """Let requests land that were under way, then let somebody else run."""
        self.ops += 1
        for request in [r for r in self.late if r[0] <= self.ops]:
            self.late.remove(request)
            self.apply(*request[1:])
        if greenlet.getcurrent() is not self.hub:
            self.hub.switch()

    def apply(self, key: str, data: bytes | None, create: bool) -> bool:
        if data is None:
            self.objects.pop(key, None)
            return True
        if create and self.create_only and key in self.objects:
            return self.objects[key] == data
        self.objects[key] = data
        return True

    def clock(self) -> float:
        return START + self.ops

    def sleep(self, seconds: float) -> None:
        for _ in range(1 if seconds < 0.1 else self.dice.randint(20, 300)):
            self.step()


@dataclass
class SimulatedStore:
    """One client's view of the world."""

    world: World
    uri: str = "memory://simulated"
    emulates_create: bool = False

    def _request(self, key: str, data: bytes | None, create: bool) -> bool:
        world = self.world
        world.step()
        dice = 1.0 if world.calm else world.dice.random()
        if dice < 0.02:
            raise self._crash("crash before")
        if dice < 0.05:
            world.late.append((world.ops + world.dice.randint(1, 60), key, data, create))
            raise self._crash("crash, request lands late")
        if dice < 0.06:
            world.late.append((world.ops + world.dice.randint(1, 60), key, data, create))
            raise self._gave_up("gave up, request lands late")
        done = world.apply(key, data, create)
        if dice < 0.08:
            raise self._crash("crash after")
        if dice < 0.12:
            world.stats["lost answer"] += 1
            world.step()
            return world.apply(key, data, create)
        if dice < 0.14:
            raise self._gave_up("gave up after the request's effect")
        return done

    def _gave_up(self, how: str) -> StorageError:
        self.world.stats[how] += 1
        return StorageError(GAVE_UP)

    def _look(self) -> None:
        self.world.step()
        if not self.world.calm and self.world.dice.random() < 0.002:
            raise self._gave_up("gave up reading")

    def _crash(self, how: str) -> Crash:
        self.world.stats[how] += 1
        return Crash()

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        return self._request(key, data, create)

    def delete(self, key: str) -> None:
        self._request(key, None, create=False)

    def get(self, key: str) -> bytes:
        self._look()
        if key not in self.world.objects:
            raise FileNotFoundError(key)
        return self.world.objects[key]

    def head(self, key: str) -> Stat | None:
        self._look()
        return Stat(key, 1, "") if key in self.world.objects else None

    def list(self, prefix: str) -> list[Stat]:
        self._look()
        return [Stat(key, len(data), "") for key, data in sorted(self.world.objects.items()) if key.startswith(prefix)]

    def url(self, key: str) -> str:
        return f"{self.uri}/{key}"


class JsonCodec:
    """Rows as JSON instead of Parquet: the protocol is simulated, not Arrow."""

    suffix = ".json"

    def write(self, table, rows) -> bytes:
        order = [name for name in table.sort if name not in table.columns or table.columns[name].type != "timestamp"]
        return json.dumps(sorted(rows, key=lambda row: [row.get(name) for name in order])).encode()

    def merge(self, table, files, without=("", ())) -> bytes:
        column, values = without or ("", ())
        return self.write(table, [row for file in files for row in json.loads(file) if row.get(column) not in values])

    def column(self, table, file, column) -> list[Any]:
        return [row.get(column) for row in json.loads(file)]

    def anchor(self, table, newest) -> None:
        return None


@dataclass
class Observer:
    """What was promised so far, and every promise found broken."""

    world: World
    table: str
    acked: set[str] = field(default_factory=set)
    published: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        self.faults.append(f"seed {self.world.seed}, request {self.world.ops}: {text}")

    def check(self, rows: Sequence[dict[str, Any]], promised: set[str], who: str) -> None:
        """A snapshot holds all that was promised before it began, and every row once."""
        once = Counter((row["cell_id"], row.get("step")) for row in rows)
        twice = sorted(key for key, times in once.items() if times > 1)
        missing = sorted(promised - {DROPPED} - {row["cell_id"] for row in rows})
        if twice:
            self.fault(f"{who} read rows twice: {twice}")
        if missing:
            self.fault(f"{who} missed {missing}")

    def settle(self, rows: Sequence[dict[str, Any]]) -> None:
        """A published row never changes."""
        for row in rows:
            if row["cell_id"] == DROPPED:
                continue
            key = f"{row['cell_id']}/{row.get('step')}"
            if self.published.setdefault(key, row) != row:
                self.fault(f"published row {key} changed")


class Simulation:
    """One seed's run."""

    def __init__(self, seed: int, make: Callable[..., Catalog], *, create_only: bool, single_publisher: bool) -> None:
        self.world = World(seed, create_only)
        self.table = "traces" if seed % 4 == 3 else "results"
        self.observer = Observer(self.world, self.table)
        self.make = make
        self.single_publisher = single_publisher
        self.finished: set[str] = set()

    def catalog(self) -> Catalog:
        """Return what a fresh process has: nothing remembered."""
        world = self.world
        skew = world.dice.uniform(-SKEW_S, SKEW_S) if not self.single_publisher else 0.0  # turns need equal clocks
        return self.make(
            SimulatedStore(world),
            single_publisher=self.single_publisher,
            threads=0,
            codec=JsonCodec(),
            clock=lambda: world.clock() + skew,
            sleep=world.sleep,
            checkpoint_every=2,
            kept_s=KEPT_S[world.seed % len(KEPT_S)],
            most_small=MOST_SMALL,
        )

    def worker(self, name: str, sweep: str) -> None:
        catalog = self.catalog()
        for number, cells in enumerate(BATCHES[sweep]):
            if set(cells) <= self.observer.acked - ({DROPPED} if self.world.dice.random() < 0.2 else set()):
                continue
            rows = [{"cell_id": cell, "loss": float(self.world.ops)} for cell in cells]
            if self.table == "traces":
                rows = [{**row, "step": step, "level": 0} for row in rows for step in range(2)]
            self.patiently(lambda: catalog.commit(self.table, sweep, f"b{number}", rows))  # noqa: B023  called at once
            self.observer.acked.update(cells)
            for _ in range(self.world.dice.randint(0, 80 if self.single_publisher else 15)):
                self.world.step()
        self.finished.add(name)

    def while_busy(self, do: Callable[[Catalog], Any], pause: int = 1) -> None:
        catalog = self.catalog()
        least = LEAST_OPS * 3 if self.single_publisher else LEAST_OPS  # waiting for a dead publisher's turn takes long
        while len(self.finished) < 3 or self.world.ops < least:
            self.patiently(lambda: do(catalog))
            for _ in range(pause):
                self.world.step()

    def patiently(self, do: Callable[[], object]) -> None:
        """Try again in the same process, which remembers the log, when the store gave up."""
        while True:
            try:
                do()
            except StorageError as error:
                if error.message != GAVE_UP:
                    raise
                self.world.step()
            else:
                return

    def read(self, catalog: Catalog) -> list[dict[str, Any]]:
        if self.world.dice.random() < 0.2:
            catalog = self.catalog()  # another process, which has the log still to read
        promised = set(self.observer.acked)
        rows = self.rows(catalog, live=True)
        self.observer.check(rows, promised, "live reader")
        if self.world.dice.random() < 0.2:
            catalog = self.catalog()
        done = catalog.keys(self.table)
        if missed := promised - done - {DROPPED}:
            self.observer.fault(f"keys() missed {sorted(missed)}")
        self.world.stats["reads"] += 2
        return rows

    def read_published(self, catalog: Catalog) -> None:
        promised = {key.split("/")[0] for key in self.observer.published}
        rows = self.rows(catalog, live=False)
        self.observer.check(rows, promised, "reader")
        self.observer.settle(rows)
        self.world.stats["reads"] += 1

    def read_raw(self, catalog: Catalog) -> None:
        """What plain pandas does: list, then read every file. It may see rows twice; that is counted, not a fault."""
        try:
            rows = self.raw(catalog.store)
        except FileNotFoundError:
            self.world.stats["raw reads that met a removed file"] += 1
            return
        self.world.stats["raw reads"] += 1
        self.world.stats["raw reads with repeated rows"] += len(rows) != len(
            {(r["cell_id"], r.get("step")) for r in rows}
        )

    def raw(self, store: Any) -> list[dict[str, Any]]:
        return [row for s in store.list(f"catalog/{self.table}/") for row in json.loads(store.get(s.key))]

    def rows(self, catalog: Catalog, *, live: bool) -> list[dict[str, Any]]:
        files, fresh = catalog.snapshot(self.table, json.loads, live=live)
        return [row for file in files for row in file] + fresh

    def actors(self) -> dict[str, Callable[[], None]]:
        table = self.table
        return {
            "worker 1": lambda: self.worker("worker 1", "s1"),
            "worker 1 again": lambda: self.worker("worker 1 again", "s1"),
            "worker 2": lambda: self.worker("worker 2", "s2"),
            "publisher 1": lambda: self.while_busy(lambda c: c.publish(table)),
            "publisher 2": lambda: self.while_busy(lambda c: c.publish(table), 5),
            "compactor": lambda: self.while_busy(lambda c: c.compact(table, open_files=2), 10),
            "dropper": lambda: self.while_busy(lambda c: c.drop(table, "cell_id", {DROPPED}), 40),
            "collector": lambda: self.while_busy(lambda c: c.gc(table, grace=0), 15),
            "reader": lambda: self.while_busy(self.read, 5),
            "published reader": lambda: self.while_busy(self.read_published, 5),
            "raw reader": lambda: self.while_busy(self.read_raw, 10),
        }

    def run(self) -> list[str]:
        """Run until the workers are done and enough happened; then one calm pass must leave everything in order."""
        world, makers = self.world, self.actors()
        world.hub = greenlet.getcurrent()
        alive = {name: self._start(name, do) for name, do in makers.items()}
        asleep: dict[str, int] = {}  # a stalled process wakes up in a world that has moved on
        longest = 30 if self.single_publisher else 200  # taking turns assumes that nobody sleeps for minutes
        while alive and world.ops < MOST_OPS:
            name = world.dice.choice(sorted(alive))
            if asleep.get(name, 0) > world.ops:
                world.ops += 1
                continue
            if world.dice.random() < 0.004:
                world.stats["stalled"] += 1
                asleep[name] = world.ops + world.dice.randint(10, longest)
                continue
            ended = alive[name].switch()
            if alive[name].dead:
                if ended == "crash":
                    alive[name] = self._start(name, makers[name])
                else:
                    del alive[name]
        if alive:
            self.observer.fault(f"{sorted(alive)} never ended")
        return self._calm()

    def drop_and_commit_again(self, catalog: Catalog) -> None:
        """A dropped cell is nowhere; committed again, it is there once."""
        catalog.drop(self.table, "cell_id", {DROPPED})
        for look in (self.rows(self.catalog(), live=True), self.raw(catalog.store)):
            if any(row["cell_id"] == DROPPED for row in look) or DROPPED in self.catalog().keys(self.table):
                self.observer.fault("a dropped cell is still there")
        again: dict[str, Any] = {"cell_id": DROPPED, "loss": 0.5}
        if self.table == "traces":
            again |= {"step": 0, "level": 0}
        catalog.commit(self.table, "s1", "b2", [again])
        catalog.publish(self.table)
        catalog.gc(self.table, grace=0)
        if sum(row["cell_id"] == DROPPED for row in self.raw(catalog.store)) != 1:
            self.observer.fault("a cell that was committed again is not there once")

    def _start(self, name: str, do: Callable[[], None]) -> Any:
        def body() -> str:
            try:
                do()
            except Crash:
                return "crash"
            except Exception as error:  # noqa: BLE001  whatever the code raises is a finding
                if isinstance(error, StorageError) and self.single_publisher and "publisher" in str(error):
                    return "crash"  # it waited too long for its turn and is run again
                self.observer.fault(f"{name} raised {type(error).__name__}: {error}")
            return "end"

        return greenlet.greenlet(body, parent=self.world.hub)

    def _calm(self) -> list[str]:
        world, observer = self.world, self.observer
        world.calm, world.ops = True, world.ops + 1_000
        world.step()
        catalog = self.catalog()
        try:
            for name, sweep in (("worker 1", "s1"), ("worker 2", "s2")):
                self.worker(name, sweep)
            catalog.publish(self.table)
            catalog.compact(self.table, open_files=2)
            catalog.gc(self.table, grace=0)
            exact = self.rows(self.catalog(), live=False)
            raw = self.raw(catalog.store)
        except Exception as error:  # noqa: BLE001  as above
            observer.fault(f"the calm pass raised {type(error).__name__}: {error}")
            return observer.faults
        observer.check(exact, set(CELLS), "the final snapshot")
        observer.settle(exact)
        observer.check(raw, set(CELLS), "the final plain read")
        self.drop_and_commit_again(catalog)
        if left := [key for key in world.objects if "/wal/" in key]:
            observer.fault(f"commit records left after collection: {left}")
        if any(
            key not in self.catalog().ledger(self.table).sync().live for key in world.objects if key[:8] == "catalog/"
        ):
            observer.fault("files left that no claim knows")
        return observer.faults


@contextmanager
def seeded_names(seed: int) -> Iterator[None]:
    """Make `uuid.uuid4` follow the seed, so that a run can be repeated."""
    dice, before = random.Random(seed), uuid.uuid4
    uuid.uuid4 = lambda: uuid.UUID(int=dice.getrandbits(128), version=4)  # type: ignore[assignment]
    try:
        yield
    finally:
        uuid.uuid4 = before  # type: ignore[assignment]


def run(
    seed: int, make: Callable[..., Catalog] = Catalog, *, create_only: bool = True, single_publisher: bool = False
) -> tuple[list[str], World]:
    """Run one seed and return the broken promises and the world it ended in."""
    simulation = Simulation(seed, make, create_only=create_only, single_publisher=single_publisher)
    with seeded_names(seed):
        return simulation.run(), simulation.world


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument(
        "--no-create-only", action="store_true", help="the store ignores create-only: faults must appear"
    )
    parser.add_argument("--single-publisher", action="store_true", help="with publishers that take turns by tickets")
    arguments = parser.parse_args()
    began, bad, ops, stats = time.perf_counter(), 0, 0, Counter[str]()
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        faults, world = run(seed, create_only=not arguments.no_create_only, single_publisher=arguments.single_publisher)
        bad += bool(faults)
        ops += world.ops
        stats += world.stats
        for fault in faults[:3]:
            print(fault)
    seconds = time.perf_counter() - began
    print(f"{arguments.seeds} seeds, {ops} requests, {seconds:.0f} s: {bad} seeds with a violation; {dict(stats)}")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
