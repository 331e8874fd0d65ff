"""What the catalog's done cells tell a plan: seconds per unit of cost, and why a cell is computed again.

Reading a million rows takes long, so the sums behind the rates are kept below the root, for each file of results by
itself: files never change, so that only files that are new have to be read. What is kept is derived from the catalog;
without it, it is made again.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from nst.errors import NstError
from nst.planning.rates import network_of, walk_of
from nst.yaml.json_text import from_json
from tasks.catalog.parquet import from_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nst.planning.rates import Rate
    from tasks.catalog import Catalog

_KEY: Final = "state/rates.json"

_COLUMNS: Final = ("method", "finish_digest", "backbone", "backbone_weights", "precision", "seconds", "cost")

_Sums = list[tuple[str, str, str, float, float]]
"""For each rate that a file knows, the three parts of the rate, and the sums of seconds and of cost."""


def known_rates(catalog: Catalog) -> dict[Rate, float]:
    """Return seconds per unit of cost over all published results, and keep the sums of files that are new."""
    known = _kept(catalog)
    ledger = catalog.ledger("results")
    live = ledger.sync().live
    missing = [file for file in live if file not in known]
    for file in missing:
        (data,) = ledger.fetch([file])
        if data is not None:  # it is being written or was merged just now: the next plan looks again
            known[file] = _sums(data)
    gone = known.keys() - live.keys()
    if missing or gone:
        known = {file: sums for file, sums in known.items() if file in live}
        with contextlib.suppress(NstError, OSError):  # a store that refuses costs only speed
            catalog.store.put(_KEY, json.dumps(known).encode())
    seconds: defaultdict[Rate, float] = defaultdict(float)
    costs: defaultdict[Rate, float] = defaultdict(float)
    for method, backbone, precision, spent, cost in (row for sums in known.values() for row in sums):
        seconds[method, backbone, precision] += spent
        costs[method, backbone, precision] += cost
    return {rate: seconds[rate] / costs[rate] for rate in seconds}


def known_versions(catalog: Catalog, addresses: frozenset[str]) -> dict[str, int]:
    """Return the highest method version of the done cells with some addresses, by address (`nst.identity.address`)."""
    if not addresses:
        return {}

    def parse(file: bytes) -> list[tuple[str, int]]:
        table = from_file(file, ["address", "method_version"])
        return list(_wanted(zip(*(column.to_pylist() for column in table.columns), strict=True), addresses))

    files, rows = catalog.snapshot("results", parse)
    fresh = _wanted(((row.get("address"), row.get("method_version")) for row in rows), addresses)
    found: dict[str, int] = {}
    for address, version in (pair for pairs in (*files, fresh) for pair in pairs):
        found[address] = max(version, found.get(address, version))
    return found


def _wanted(pairs: Iterable[tuple[Any, Any]], addresses: frozenset[str]) -> Iterator[tuple[str, int]]:
    return ((address, version) for address, version in pairs if address in addresses)


def _kept(catalog: Catalog) -> dict[str, _Sums]:
    """Return what was kept; nothing if it is missing or damaged."""
    try:
        kept = from_json(catalog.store.get(_KEY))
        return {file: [_row(*row) for row in rows] for file, rows in kept.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def _row(method: str, backbone: str, precision: str, seconds: float, cost: float) -> tuple[str, str, str, float, float]:
    return str(method), str(backbone), str(precision), float(seconds), float(cost)


def _sums(file: bytes) -> _Sums:
    table = from_file(file, _COLUMNS)
    sums: defaultdict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for method, finish, backbone, weights, precision, seconds, cost in zip(
        *(c.to_pylist() for c in table.columns), strict=True
    ):
        if seconds and cost:
            walk = walk_of(method, finishes=finish is not None)
            total = sums[walk, network_of(backbone, weights) if backbone else "", precision or ""]
            total[0] += seconds
            total[1] += cost
    return [(*rate, seconds, cost) for rate, (seconds, cost) in sums.items()]
