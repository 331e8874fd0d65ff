"""Requests and seconds of publishing: by all participants of a sweep or by one, beside old records, over many files.

Run: python tests/benchmarks/bench_publishing.py [--participants 16] [--rounds 20] [--records 100000]
     [--publications 1440]

The store is a local folder whose operations are counted; on an object store each of them is a request.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nst.config.gatys import GatysConfig
from tasks.catalog import Catalog, layout, records
from tasks.catalog.parameters import flatten
from tasks.store.local import LocalStore


class CountingStore(LocalStore):
    """A folder that counts what is asked of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.requests: Counter[str] = Counter()

    def get(self, key: str, **options: Any) -> bytes:
        self.requests["get"] += 1
        return super().get(key, **options)

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        self.requests["put"] += 1
        return super().put(key, data, create=create)

    def list(self, prefix: str) -> Any:
        self.requests["list"] += 1
        return super().list(prefix)

    def delete(self, key: str) -> None:
        self.requests["delete"] += 1
        super().delete(key)


def rows(rng: np.random.Generator, number: int) -> list[dict[str, Any]]:
    """Return rows of cells that nobody has."""
    return [{"cell_id": rng.bytes(16).hex(), "picture_digest": rng.bytes(32).hex()} for _ in range(number)]


def contention(folder: Path, participants: int, publishers: int, rounds: int) -> None:
    """Let everybody commit a batch and some of them publish at the same time, again and again."""
    rng = np.random.default_rng(0)
    stores = [CountingStore(folder) for _ in range(participants)]
    catalogs = [Catalog(store, threads=4) for store in stores]
    seconds: list[float] = []
    asked: list[Counter[str]] = []

    def publish(catalog: Catalog) -> None:
        began = time.perf_counter()
        catalog.publish("results")
        seconds.append(time.perf_counter() - began)

    for _ in range(rounds):
        for number, catalog in enumerate(catalogs):
            catalog.commit("results", "s", f"b{number}", rows(rng, 8))
        for store in stores:
            store.requests.clear()
        threads = [threading.Thread(target=publish, args=(catalog,)) for catalog in catalogs[:publishers]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked.append(sum((store.requests for store in stores), Counter[str]()))
    total = sum(asked[1:], Counter[str]())  # the first of them write the schema and learn the log
    each = ", ".join(f"{verb} {count / (rounds - 1):.1f}" for verb, count in sorted(total.items()))
    done = Catalog(LocalStore(folder)).read("results", ["cell_id"]).num_rows
    print(
        f"{publishers:3} publishers of {participants}: {total.total() / (rounds - 1):6.1f} requests a round ({each}), "
        f"{np.median(seconds[publishers:]):.3f} s each; {done} of {participants * rounds * 8} rows"
    )


def old_records(folder: Path, number: int) -> None:
    """Publish beside records that were published an hour ago and never cleared away, as an older version left them."""
    store = LocalStore(folder)
    before = Catalog(store, clock=lambda: time.time() - 3600)
    table = before.ledger("results").table
    for batch in range(number):
        path = Path(store.path(layout.record("results", f"s/b{batch:07}-{batch:016x}")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(records.encode(table, [{"cell_id": f"c{batch}"}], {}))
    before.publish("results")
    catalog = Catalog(store)
    for _ in range(3):
        began = time.perf_counter()
        catalog.publish("results")
        left = len(catalog.ledger("results").pending())
        print(f"publish beside {number:,} old records: {time.perf_counter() - began:.2f} s, {left:,} left")


def many_files(folder: Path, publications: int) -> None:
    """Publish a few cells each minute for a day, and read them as plain pandas does."""
    rng = np.random.default_rng(0)
    catalog, about = Catalog(LocalStore(folder)), {**flatten(GatysConfig()), "method_version": 1}
    began = time.perf_counter()
    for number in range(publications):
        catalog.commit("results", "s", f"b{number}", rows(rng, 10), common=about)
        catalog.publish("results")
    made = time.perf_counter() - began
    files, began = catalog.store.list("catalog/results/month=2"), time.perf_counter()
    found = len(pd.read_parquet(folder / "catalog/results"))
    print(
        f"{publications} publications: {made:.0f} s, {len(files)} files; "
        f"pandas reads {found} rows in {time.perf_counter() - began:.2f} s"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--publications", type=int, default=1440)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for publishers in (given.participants, 1):
            contention(Path(folder) / f"by-{publishers}", given.participants, publishers, given.rounds)
        old_records(Path(folder) / "records", given.records)
        many_files(Path(folder) / "files", given.publications)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
