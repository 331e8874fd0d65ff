"""Checks that every done cell has its picture, and that the picture has the digest and size of its row."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tasks.layout import PICTURES

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report
    from tasks.store import Stat

_HINT = "restore it from a backup: its cell counts as done and does not run again"


def check_pictures(catalog: Catalog, report: Report, read_data: float) -> None:
    """Check the pictures of all done rows, unpublished ones included, and count those that no row names."""
    store = catalog.store
    rows = catalog.read("results", ["cell_id", "picture_digest", "picture_bytes"]).to_pylist()
    present: dict[str, list[Stat]] = {}
    for stat in store.list(PICTURES):
        present.setdefault(stat.key.rsplit("/", 1)[1].split(".")[0], []).append(stat)
    named: dict[str, str] = {}
    for row in rows:
        digest = row["picture_digest"]
        if digest is None:
            report.problem(f"cell {row['cell_id']}", "done, but its row names no picture", "report this as a bug")
            continue
        named[digest] = row["cell_id"]
        stats = present.get(digest)
        if not stats:
            report.problem(f"{PICTURES}{digest[:2]}/{digest}", f"picture of cell {row['cell_id']} is missing", _HINT)
        elif row["picture_bytes"] not in {None, *(stat.size for stat in stats)}:
            what = f"{stats[0].size} bytes, but the row of cell {row['cell_id']} says {row['picture_bytes']}"
            report.problem(stats[0].key, what, _HINT)
    chosen = [s for digest in named for s in present.get(digest, []) if _chosen(digest, read_data)]
    ledger = catalog.ledger("results")

    def verify(stat: Stat) -> tuple[Stat, bool, int]:
        data = store.get(stat.key)
        return stat, hashlib.sha256(data).hexdigest() == stat.key.rsplit("/", 1)[1].split(".")[0], len(data)

    for stat, right, size in ledger.each(verify, chosen):
        report.counts["pictures read"] += 1
        report.counts["bytes read"] += size
        if not right:
            report.problem(stat.key, "the picture's bytes do not have its digest", _HINT)
    report.counts["pictures"] += len(named)
    if orphans := sum(len(stats) for digest, stats in present.items() if digest not in named):
        report.notes.append(f"{orphans} pictures belong to no done row: left by batches that did not end, harmless")
        report.counts["orphan pictures"] += orphans


def _chosen(digest: str, share: float) -> bool:
    """Return whether a digest is among the given share; always the same ones."""
    return int(hashlib.sha256(digest.encode()).hexdigest()[:8], 16) < share * 2**32
