"""What `nst models` prints, and the export of a model: lists and comparisons. Prints; decides nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flows.command.columns import print_columns
from nst.config.training import TRAINING_CONFIGS
from nst.errors import InputError
from nst.yaml.json_text import from_json
from tasks.models.card import differences, export_model, model_rows

if TYPE_CHECKING:
    from pathlib import Path

    from flows.command.terminal import Terminal
    from tasks.root import Root


def print_models(root: Root, ids: list[str], out: Terminal, *, as_json: bool) -> None:
    """List the trained models of a root, or show the differences between those that are named."""
    rows = model_rows(root.catalog, ids)
    if as_json:
        out.print_json(json.dumps(rows, default=str))
    elif not rows:
        out.say(f"no model has been trained below {root.uri}")
    elif len(ids) > 1:
        out.say("differences, then losses, metrics and costs")
        heads = ("", *(row["model_id"][:8] for row in rows))
        cells = [[name, *map(_short, values)] for name, values in differences(rows)]
        print_columns(out, heads, cells, names=range(len(heads)))
    else:
        _print_list(rows, out)


def export_named_model(root: Root, wanted: str, folder: Path, out: Terminal, *, page: bool = False) -> bool:
    """Write the weights and card of a model; return False if no model has this id.

    Raises:
        InputError: A page or an archive is asked for, or the files cannot be written.
    """
    try:
        rows = model_rows(root.catalog, [wanted])
    except InputError:
        return False
    if page or folder.suffix.lower() == ".zip":
        raise InputError("a model is written into a folder, without a page", hint="leave out --page, and name a folder")
    files = export_model(root.catalog, rows[0], folder)
    for file in files:
        out.say(file)
    if TRAINING_CONFIGS[rows[0]["family"]].MAKES == "backbone":
        out.say("no ONNX: the network makes no pictures; name its .safetensors file as backbone.weights")
    elif not any(file.suffix == ".onnx" for file in files):
        out.say("no ONNX: its packages are missing (pip install 'nst-batch[onnx]')")
    return True


def _print_list(rows: list[dict[str, Any]], out: Terminal) -> None:
    cells = []
    for row in rows:
        names = from_json(row["style_names"])
        styles = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        numbers = (_short(row[name]) for name in ("steps_done", "content_loss", "style_loss"))
        finished = f"{row['finished_at']:%Y-%m-%d}"
        cells.append([row["model_id"][:8], row["family"], row["name"], styles, *numbers, finished])
    heads = ("model", "family", "name", "styles", "steps", "content", "style", "finished")
    print_columns(out, heads, cells, names={2, 3}, numbers=range(4, 7))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)[:60]
