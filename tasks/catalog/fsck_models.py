"""Every trained model has its weights, and they are what its row says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.catalog.findings import Report

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
