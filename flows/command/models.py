"""What the command does about trained models: plans, runs, lists, exports. Prints; decides nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from flows.command.progress import ProgressBar
from flows.command.show import duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from flows.order.request import Request
    from flows.order.training import TrainSummary
    from nst.plan.models import ModelSpec
    from tasks.catalog import Catalog
    from tasks.planning.training import PreparedTraining


def print_training_plan(manifest: str, root: str, inputs: str, out: Console, *, as_json: bool) -> None:
    """Show which models of a training manifest are trained, and what becomes of the others."""
    from tasks.planning.training import prepare_training

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


def run_training_command(request: Request, out: Console, err: Console, *, inline: bool) -> int:
    """Train what is not trained yet; return the exit code: 0, or 1 if a training failed."""
    from flows.train_here import train_here, train_inline

    with ProgressBar(err, "models") as bar:
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


def print_models(root: str, ids: list[str], out: Console, *, as_json: bool) -> None:
    """List the trained models of a root, or show what those that are named differ in."""
    from tasks.catalog import Catalog
    from tasks.models.card import differences, model_rows
    from tasks.store import open_store

    store = open_store(root)
    rows = model_rows(Catalog(store), ids)
    if as_json:
        out.print_json(json.dumps(rows, default=str))
    elif not rows:
        out.print(f"no model has been trained below {store.uri}")
    elif len(ids) > 1:
        table = Table("", *(row["model_id"][:8] for row in rows), title="what differs, and what came of it")
        for name, values in differences(rows):
            table.add_row(name, *map(_short, values))
        out.print(table)
    else:
        out.print(_models_table(rows))


def _models_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(*(Column(name, no_wrap=True) for name in ("model", "family")), "name", "styles")
    for number in ("steps", "content", "style"):
        table.add_column(number, justify="right", no_wrap=True)
    table.add_column("finished", no_wrap=True)
    for row in rows:
        names = json.loads(row["style_names"])
        styles = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        numbers = (_short(row[name]) for name in ("steps_done", "content_loss", "style_loss"))
        finished = f"{row['finished_at']:%Y-%m-%d}"
        table.add_row(row["model_id"][:8], row["family"], row["name"], styles, *numbers, finished)
    return table


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)[:60]


def export_named_model(catalog: Catalog, wanted: str, folder: Path, out: Console) -> bool:
    """Write the weights and card of a model, if one is named so; say whether there was one."""
    from nst.errors import InputError
    from tasks.models.card import export_model, model_rows

    try:
        rows = model_rows(catalog, [wanted])
    except InputError:
        return False
    files = export_model(catalog, rows[0], folder)
    for file in files:
        out.print(file, highlight=False)
    if not any(file.suffix == ".onnx" for file in files):
        out.print("no ONNX: its packages are missing (pip install 'nst-batch[onnx]')", highlight=False, markup=False)
    return True
