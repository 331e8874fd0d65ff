"""What the command does about trained models: plans, runs, lists, exports. Prints; decides nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table

from flows.progress import ProgressBar
from flows.show import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from flows.order import SweepRequest
    from flows.train_order import TrainSummary
    from nst.models import ModelSpec
    from tasks.train_planning import PreparedTraining


def print_training_plan(manifest: str, root: str, inputs: str, out: Console, *, as_json: bool) -> None:
    """Show which models of a training manifest are trained, and what becomes of the others."""
    from tasks.train_planning import prepare_training

    prepared = prepare_training(manifest, root, inputs=inputs)
    rows = [_planned(prepared, spec) for spec in prepared.specs]
    if as_json:
        out.print_json(json.dumps({"name": prepared.name, "photographs": len(prepared.photographs), "models": rows}))
        return
    title = f"training {prepared.name}  {len(prepared.photographs):,} photographs  below {prepared.store.uri}"
    table = Table("model", "family", "styles", "steps", "state", title=title)
    for row in rows:
        colour = "green" if row["state"] == "trained" else "yellow"
        styles = ", ".join(row["styles"][:3]) + (", ..." if len(row["styles"]) > 3 else "")
        table.add_row(row["model_id"][:8], row["family"], styles, f"{row['steps']:,}", f"[{colour}]{row['state']}[/]")
    out.print(table)


def _planned(prepared: PreparedTraining, spec: ModelSpec) -> dict[str, Any]:
    return {
        "model_id": spec.model_id,
        "family": spec.config.family,
        "styles": [style.name for style in spec.styles],
        "steps": spec.config.steps,
        "state": prepared.state(spec),
        "config": spec.config.model_dump(mode="json"),
    }


def run_training_command(request: SweepRequest, out: Console, err: Console, *, inline: bool) -> int:
    """Train what is not trained yet; return the exit code: 0, or 1 if a training failed."""
    from flows.train_here import train_here, train_inline

    with ProgressBar(err, "models", "model") as bar:
        summary = (train_inline if inline else train_here)(request, bar.cells, bar.step)
    for line in _summary_lines(summary, request.root):
        out.print(line, highlight=False, soft_wrap=True)
    return 1 if summary.failed else 0


def _summary_lines(summary: TrainSummary, root: str) -> Iterator[str]:
    before = f", {summary.trained_before} were trained before" if summary.trained_before else ""
    yield f"training {summary.name}: {summary.trained} trained in {duration(summary.seconds)}{before}"
    if summary.failed:
        yield f"{summary.failed} failed; run again to try them again"
        for failure in summary.failures:
            yield f"  {failure.cell_id[:8]} {failure.error_class}: {failure.message}"
    for model in summary.models:
        yield f"model:    {model}"
    yield f"catalog:  {root.rstrip('/')}/catalog/models"
