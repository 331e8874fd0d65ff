"""Many participants on one sweep on a real S3 server, with devices that only wait: `python bench_participants.py`.

Sixteen processes take part in a sweep of ten thousand cells, as `nst work` does, through the real order, claims,
heartbeats and catalog. Their devices are stubs, which wait as long as a device would compute and then commit real
pictures. Five are killed with SIGKILL, two are stopped for longer than a heartbeat counts and continued, and their
clocks (`time.time`) are up to two minutes apart. At the end every cell is looked for, and `fsck` looks at the root.

Printed are what was lost or computed twice, requests per cell, and the share of the time that the devices of the
survivors were busy.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


# ---- a participant --------------------------------------------------------------------------------------------------
class StubPool:
    """Device workers that wait instead of computing, and commit a picture for each cell."""

    seconds_per_cell = 0.1
    is_waiting = False

    def __init__(self, root: Any, devices: tuple[str, ...], on_step: Any = None) -> None:
        from tasks.catalog.cells import identity_columns
        from tasks.jobs import BatchOutcome

        self.root, self.devices = root, devices
        self._identity, self._outcome = identity_columns, BatchOutcome
        self._heard: list[Any] = []
        self.busy = 0.0
        self.first = self.last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    close = __exit__

    @contextmanager
    def watched(self, on_step: Any, on_outcome: Any, on_preview: Any) -> Any:
        self._heard.append(on_outcome)
        yield
        self._heard.remove(on_outcome)

    def run_in_turn(self, jobs: Any) -> Any:
        """Wait for each batch as long as a device would compute it; a thread writes the one before meanwhile."""
        results: list[Any] = []
        writer = None
        for job in jobs:
            self.first = self.first or time.monotonic()
            seconds = self.seconds_per_cell * len(job.batch.cells)
            time.sleep(seconds)
            self.busy += seconds
            self.last = time.monotonic()
            if writer:
                writer.join()
            writer = threading.Thread(target=self._write, args=(job, seconds, results))
            writer.start()
        if writer:
            writer.join()
        return results

    def _write(self, job: Any, seconds: float, results: list[Any]) -> None:
        from tasks.layout import picture_key, thumbnail_key

        store, rows = self.root.store, []
        for cell in job.batch.cells:
            data = picture_of(cell.cell_id)
            digest = hashlib.sha256(data).hexdigest()
            key, small = picture_key(digest, "png"), thumbnail_key(digest)
            store.put(key, data)
            store.put(small, data)
            rows.append({
                **self._identity(job, cell), "picture_uri": store.url(key), "picture_digest": digest,
                "picture_bytes": len(data), "picture_width": 8, "picture_height": 8, "picture_format": "png",
                "thumbnail_uri": store.url(small), "seconds": self.seconds_per_cell, "cost": 1.0, "device": "stub",
            })  # fmt: skip
        self.root.catalog.commit("results", job.sweep_id, job.batch.batch_id, rows)
        done = tuple(row["cell_id"] for row in rows)
        outcome = self._outcome(job.batch.batch_id, done, (), seconds, tuple(rows))
        for heard in self._heard:
            heard(outcome)
        results.append((job, outcome))


def picture_of(cell_id: str) -> bytes:
    """Return a picture that follows from the id of its cell."""
    pixels = np.frombuffer(hashlib.sha512(cell_id.encode()).digest() * 3, np.uint8).reshape(8, 8, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def member(root_uri: str, inputs: str, seconds: float, skew: float) -> None:
    """Take part until nothing is left, and print what it cost."""
    right = time.time
    time.time = lambda: right() + skew  # before anything of nst is imported
    from flows.engine import InlineEngine
    from flows.order import participation
    from tasks.root import open_root

    pools: list[StubPool] = []

    def pool(*arguments: Any) -> StubPool:
        pools.append(StubPool(*arguments))
        return pools[-1]

    StubPool.seconds_per_cell = seconds
    participation.DevicePool = pool  # type: ignore[assignment,misc]
    root = open_root(root_uri, probed=True)
    calls = counted(root.store)
    wanted = participation.Wanted(root, ("stub",), "", inputs)
    refused: list[str] = []
    nothing = lambda *_: None  # noqa: E731
    audience = SimpleNamespace(
        begun=nothing, step=nothing, idle=nothing, left_out=lambda *told: refused.append(str(told))
    )
    with InlineEngine(1) as engine:
        done = [summary.done for summary in participation.take_part(wanted, engine, audience)]
    (only,) = pools
    wall = (only.last or 0.0) - (only.first or 0.0)
    sys.stderr.write("".join(refused))
    print(json.dumps({"done": done, "busy": only.busy, "wall": wall, "calls": calls, "refused": refused}))


def counted(store: Any) -> Counter[str]:
    """Count the requests of a store, by kind and by what they are for."""
    calls: Counter[str] = Counter()
    kind = type(store)
    for name in ("get", "put", "list", "head", "delete", "digest"):
        asked = getattr(kind, name)

        def counting(self: Any, key: str, *arguments: Any, _asked: Any = asked, _name: str = name, **more: Any) -> Any:
            parts = key.split("/")[: 2 if key.startswith("state/") else 1]
            calls[f"{_name} {'/'.join(parts)}"] += 1
            return _asked(self, key, *arguments, **more)

        setattr(kind, name, counting)
    return calls


# ---- the sweep ------------------------------------------------------------------------------------------------------
def submit(folder: Path, root_uri: str, cells: int) -> int:
    """Plan the sweep and put it on record, as `nst run` does before its first batch; return the number of batches."""
    from orders import planned
    from sweeps import TINY_METHOD, write_pictures

    from tasks.maintenance import publish_all
    from tasks.planning.registration import register_sweep
    from tasks.planning.stored import submit as store_plan

    write_pictures(folder)
    manifest = {"name": "many", "contents": "cat.png", "styles": "waves.png", "batch_size": 8,
                "method": {**TINY_METHOD, "init": "noise"}, "sweep": {"seed": {"count": cells}}}  # fmt: skip
    (folder / "m.yaml").write_text(json.dumps(manifest))
    prepared = planned(folder / "m.yaml", root_uri)
    register_sweep(prepared)
    publish_all(prepared.root.catalog)
    store_plan(prepared)
    return prepared.plan.batch_count


def start(number: int, root_uri: str, folder: Path, seconds: float, skew: float) -> subprocess.Popen[str]:
    arguments = ["--member", root_uri, str(folder), str(seconds), f"{skew:.1f}"]
    log = (folder / f"member-{number}.log").open("w")
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)


def disturbed(members: list[subprocess.Popen[str]], kinds: list[str], batches: int, store: Any, dice: Any) -> int:
    """Kill and stop some of the participants, wait until all have ended, and return how many batches were computed.

    They are killed at numbers of committed batches: a slow machine is disturbed as deep in its work as a quick one.
    """
    began = time.monotonic()
    moments = sorted(dice.uniform(0.1, 0.7) * batches for _ in kinds)
    victims = dice.sample(members, len(kinds))
    asleep: dict[subprocess.Popen[str], float] = {}
    seen: set[str] = set()  # old records are removed meanwhile
    while any(each.poll() is None for each in members):
        time.sleep(2.0)
        seen |= records(store)
        if moments and (count := len(seen)) >= moments[0]:
            moments.pop(0)
            victim, kind = victims.pop(), kinds.pop()
            victim.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
            print(f"  {time.monotonic() - began:5.0f} s: {kind} one of them at {count:,} batches", flush=True)
            if kind == "stop":
                asleep[victim] = time.monotonic() + 100
        for sleeper, until in list(asleep.items()):
            if time.monotonic() > until:
                del asleep[sleeper]
                sleeper.send_signal(signal.SIGCONT)
                print(f"  {time.monotonic() - began:5.0f} s: one of them goes on after 100 s")
    print(f"seconds {time.monotonic() - began:.0f}", flush=True)
    return len(seen | records(store))


def records(store: Any) -> set[str]:
    """Return the commit records of results that are there, one for each time that a batch was computed."""
    return {stat.key for stat in store.list("state/results/wal/") if stat.key.endswith(".json")}


def tell(members: list[subprocess.Popen[str]], store: Any, cells: int, wasted: float) -> None:
    """Print what came of it."""
    from tasks.fsck.check import fsck
    from tasks.root import open_root

    root = open_root(store.uri)
    rows = root.catalog.read("results", ["cell_id", "picture_digest"]).to_pylist()
    wrong = sum(hashlib.sha256(picture_of(row["cell_id"])).hexdigest() != row["picture_digest"] for row in rows)
    told = [json.loads(each.stdout.read() or "null") for each in members if each.stdout]
    survivors = [each for each in told if each]
    calls: Counter[str] = Counter()
    for each in survivors:
        calls.update(each["calls"])
    done = sum(sum(each["done"]) for each in survivors)
    ids = {row["cell_id"] for row in rows}
    print(f"survivors {len(survivors)}, which did {done:,} cells")
    print(f"lost {cells - len(ids)}, twice in the catalog {len(rows) - len(ids)}, other bits {wrong}")
    print(f"batches computed twice {wasted:.1%}")
    busy, walls = sum(each["busy"] for each in survivors), sum(each["wall"] for each in survivors)
    print(f"busy share of the survivors, from their first batch to their last {busy / max(walls, 1e-9):.1%}")
    of_pictures = calls["put pictures"] + calls["put thumbs"]
    each_cell, beside = calls.total() / max(1, done), (calls.total() - of_pictures) / max(1, done)
    print(f"store calls per cell {each_cell:.2f}, beside pictures and thumbnails {beside:.2f}")
    for what, number in calls.most_common(14):
        print(f"    {what:28} {number:7,}")
    print("fsck:", "; ".join(fsck(root, read_data=0.05).lines()))
    left = [stat.key for stat in store.list("state/") if stat.key.startswith(("state/plans", "state/claims"))]
    print(f"plans and claims that are left: {len(left)}")


def main(given: argparse.Namespace) -> None:
    """Run the sweep once and print what came of it."""
    from conftest import S3Server, moto_server

    from tasks.store import open_store

    dice = random.Random(given.seed)
    with moto_server(page_size=1000) as url, tempfile.TemporaryDirectory() as temporary:
        os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url, "AWS_ACCESS_KEY_ID": "testing"}
        os.environ |= {"AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
        folder, root_uri = Path(temporary), f"{S3Server(url, {}).bucket()}/root"
        batches = submit(folder, root_uri, given.cells)
        of = f"{given.cells:,} cells in {batches:,} batches"
        print(f"{of}, {given.participants} participants, {given.seconds} s a cell", flush=True)
        skews = [dice.uniform(-60, 60) for _ in range(given.participants)]
        members = [start(n, root_uri, folder, given.seconds, skew) for n, skew in enumerate(skews)]
        kinds = dice.sample(["kill"] * given.killed + ["stop"] * given.stopped, given.killed + given.stopped)
        store = open_store(root_uri)
        computed = disturbed(members, kinds, batches, store, dice)
        tell(members, store, given.cells, computed / batches - 1)
        for log in folder.glob("member-*.log"):
            sys.stdout.write(log.read_text())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--member"]:
        member(sys.argv[2], sys.argv[3], *map(float, sys.argv[4:]))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("participants", 16), ("cells", 10_000), ("killed", 5), ("stopped", 2), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=0.4, help="of a stub device for a cell")
    given = parser.parse_args()
    main(given)
