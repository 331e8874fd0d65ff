"""Every trained model has its weights, and they are what its row says; checkpoints of trainings are whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report

_AGAIN = "restore it from a backup: its model counts as trained and is not trained again"


def check_models(catalog: Catalog, report: Report) -> None:
    """Check the weights of all trained models, unpublished ones included, and count those that no row names."""
    store = catalog.store
    rows = catalog.read("models", ["model_id", "weights_digest", "weights_bytes"]).to_pylist()
    keys = {f"models/{row['weights_digest'][:2]}/{row['weights_digest']}.safetensors": row for row in rows}
    there = {stat.key for stat in store.list("models/") if stat.key.endswith(".safetensors")}
    for key, row in sorted(keys.items()):
        if key not in there:
            report.problem(key, f"weights of model {row['model_id']} are missing", _AGAIN)
            continue
        data = store.get(key)
        if hashlib.sha256(data).hexdigest() != row["weights_digest"] or len(data) != row["weights_bytes"]:
            report.problem(key, f"the weights of model {row['model_id']} do not have their digest", _AGAIN)
    if rows:
        report.counts["models"] += len(rows)
    if orphans := len(there - set(keys)):
        report.notes.append(f"{orphans} weights belong to no model: left by trainings that did not end, harmless")


def check_checkpoints(catalog: Catalog, report: Report) -> None:
    """Check that checkpoints have the digests in their names, and count those of models that are trained."""
    store, trained = catalog.store, catalog.keys("models", "model_id")
    stats = store.list("state/trainings/")
    for stat in stats:
        digest = stat.key.rsplit("-", 1)[1].partition(".")[0]
        if not hashlib.sha256(store.get(stat.key)).hexdigest().startswith(digest):
            report.problem(stat.key, "checkpoint is damaged", "delete it: its training goes on from the one before")
    if stats:
        report.counts["checkpoints"] += len(stats)
    if left := sum(stat.key.split("/")[2] in trained for stat in stats):
        report.notes.append(f"{left} checkpoints of trained models are left over, harmless: delete them for space")
