"""Checks that the weights of every trained model are those of its row, and that no checkpoint is damaged."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tasks.fsck.pictures import FaultyRow
from tasks.layout import MODELS, TRAININGS, parse_checkpoint_key, weights_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report

_HINT = "restore it from a backup, or let `nst repair` drop its row, so that the model is trained again"


def check_models(catalog: Catalog, report: Report) -> None:
    """Report every fault of the weights of a model."""
    for fault in faulty_models(catalog, report):
        report.problem(fault.where, fault.what, _HINT)


def faulty_models(catalog: Catalog, report: Report) -> Iterator[FaultyRow]:
    """Yield the models, unpublished ones included, whose weights are missing or are not those that were written.

    Args:
        catalog: The catalog of the root.
        report: Gains the count of models, and a note about weights that no row names.
    """
    store = catalog.store
    rows = catalog.read("models", ["model_id", "weights_digest", "weights_bytes"]).to_pylist()
    keys = {weights_key(row["weights_digest"]): row for row in rows}
    present = {stat.key for stat in store.list(MODELS) if stat.key.endswith(".safetensors")}
    for key, row in sorted(keys.items()):
        if key not in present:
            yield FaultyRow(row["model_id"], key, f"weights of model {row['model_id']} are missing")
            continue
        data = store.get(key)
        if hashlib.sha256(data).hexdigest() != row["weights_digest"] or len(data) != row["weights_bytes"]:
            yield FaultyRow(row["model_id"], key, f"the weights of model {row['model_id']} do not have their digest")
    if rows:
        report.counts["models"] += len(rows)
    if orphans := len(present - set(keys)):
        report.notes.append(
            f"{orphans} weights belong to no model: left by trainings that did not end, "
            "harmless; `nst repair` removes them"
        )


def check_checkpoints(catalog: Catalog, report: Report) -> None:
    """Check that checkpoints have the digests in their names, and count those of models that are trained."""
    store, trained = catalog.store, catalog.keys("models", "model_id")
    parsed = {stat.key: parse_checkpoint_key(stat.key) for stat in store.list(TRAININGS)}
    found = {key: checkpoint for key, checkpoint in parsed.items() if checkpoint}
    for key, checkpoint in found.items():
        if not hashlib.sha256(store.get(key)).hexdigest().startswith(checkpoint.digest):
            report.problem(key, "checkpoint is damaged", "delete it: its training goes on from the one before")
    if found:
        report.counts["checkpoints"] += len(found)
    if left := sum(checkpoint.model_id in trained for checkpoint in found.values()):
        report.notes.append(f"{left} checkpoints of trained models are left over, harmless; `nst repair` removes them")
