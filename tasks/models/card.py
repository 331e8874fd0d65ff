"""Trained models for people: their rows, the differences between them, and a folder with weights and a card."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from nst.config.training import TRAINING_CONFIGS, StudentTraining
from nst.yaml.json_text import from_json
from tasks.catalog import model_columns
from tasks.inputs.uris import read_uri
from tasks.layout import samples_key, weights_key
from tasks.models.choose import find_model, trained_models
from tasks.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tasks.catalog import Catalog

_LOSSES: Final = ("loss", "content_loss", "style_loss", "tv_loss")
_STYLES_SHOWN: Final = 20
_RUN: Final = ("steps_done", "photographs", "seconds", "images_per_second", "device_name", "parameters")


def model_rows(catalog: Catalog, wanted: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return rows of the `models` table, the newest first.

    Args:
        catalog: The catalog of the root.
        wanted: Ids of models, or the beginnings of ids; none means all models.

    Raises:
        InputError: An id fits no model, or several.
    """
    models = trained_models(catalog)
    chosen = [find_model(models, model_id) for model_id in wanted] if wanted else models
    rows = {row["model_id"]: row for row in catalog.read("models").to_pylist()}
    return [rows[model.model_id] for model in chosen]


def differences(rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Return (column, values) of the inputs and settings in which models differ, then losses, metrics and costs."""
    settings = [column.name for column in model_columns.settings()]
    inputs = ["name", "style_names", "data_digest", "backbone_digest", "parent_model"]
    validation = [name for name in rows[0] if name.startswith("validation_") and name != "validation_losses"]
    differing = [name for name in (*inputs, *settings) if len({str(row[name]) for row in rows}) > 1]
    known = [name for name in (*_LOSSES, *validation, *_RUN) if any(row[name] is not None for row in rows)]
    return [(name, [row[name] for row in rows]) for name in (*differing, *known)]


def export_model(catalog: Catalog, row: dict[str, Any], folder: Path) -> list[Path]:
    """Write a model's weights and card, and its sample pictures if there are any; return the files written.

    Where the packages of the extra `onnx` are installed, a network that makes pictures is written as an ONNX graph too.
    """
    styles = from_json(row["style_names"])
    name = _file_name(f"{row['family']}-{styles[0] if len(styles) == 1 else row['name']}-{row['model_id'][:8]}")
    uri = catalog.store.url(weights_key(row["weights_digest"]))
    files = {f"{name}.safetensors": read_uri(uri)}
    inputs = ""
    if TRAINING_CONFIGS[row["family"]].MAKES == "pictures" and find_spec("onnxscript"):
        files[f"{name}.onnx"], inputs = _onnx(uri, files[f"{name}.safetensors"])
    if row["samples_uri"]:
        samples = samples_key(row["model_id"], row["steps_done"])
        files[f"{name}.jpg"] = read_uri(catalog.store.url(samples))
    files[f"{name}.md"] = model_card(row, name, inputs).encode()
    target = open_store(str(folder))
    for file, data in files.items():
        target.put(file, data)
    return [folder / file for file in files]


def _onnx(uri: str, data: bytes) -> tuple[bytes, str]:
    """Return the network of a model's file as an ONNX graph, and the names of its inputs."""
    from nst.networks import network_from
    from nst.networks.exporting import to_onnx
    from tasks.models.files import parse_tensors

    metadata, tensors = parse_tensors(uri, data)
    network = network_from(metadata, {key: tensor.float() for key, tensor in tensors.items()})
    return to_onnx(network, metadata)


def model_card(row: dict[str, Any], name: str, onnx_inputs: str = "") -> str:
    """Return the card of a model as Markdown: what it is, what it was made from, its losses, how to use it.

    Args:
        row: Its row in the `models` table.
        name: The name of its files, without endings.
        onnx_inputs: The inputs of its ONNX graph, "" if there is no graph.
    """
    trained = row["config"] is not None
    measures = TRAINING_CONFIGS[row["family"]].MAKES == "backbone"
    above = "masks" if row["colors"] else "photographs"
    what = "backbone for style transfer by optimisation" if measures else "feed-forward network for style transfer"
    if row["factor"]:
        what = f"feed-forward network that enlarges photographs {row['factor']} times"
    lines = [
        f"# {name}",
        "",
        f"A {what}, family `{row['family']}`, "
        + (f"trained by nst {row['nst_version']}." if trained else "trained elsewhere and imported."),
        "",
    ]
    if row["samples_uri"]:
        lines += [f"![Above: {above}. Below: what it makes of them.]({name}.jpg)", ""]
    lines += ["| | |", "|---|---|", *(f"| {fact} | {value} |" for fact, value in _facts(row, name))]
    lines += ["", "## Use", *(_use_as_backbone(row, name) if measures else _use(row, name)), ""]
    if onnx_inputs:
        lines += [f"`{name}.onnx` is the same network for any ONNX runtime: {onnx_inputs} -> `pictures`, float32.", ""]
    if trained:
        lines += ["## Settings", "```json", json.dumps(from_json(row["config"]), indent=1), "```", ""]
    return "\n".join(lines)


def _use(row: dict[str, Any], name: str) -> Iterator[str]:
    style = "" if TRAINING_CONFIGS[row["family"]].KNOWS in {"none", "one"} else " --style PAINTING"
    given = "MASK" if row["colors"] else "PHOTO"
    yield from ("```", f"nst stylize {given} --model {name}.safetensors{style} -o OUT.png", "```")
    yield f"or in a sweep: `method: {{name: feedforward, family: {row['family']}, model: {name}.safetensors}}`."
    yield "The file's metadata says how the network is built; pictures go in and come out as RGB in [0, 1]."


def _use_as_backbone(row: dict[str, Any], name: str) -> Iterator[str]:
    yield "As `backbone.weights` of a method that optimises pictures, with layers that the file reaches."
    if row["config"]:
        config = StudentTraining.model_validate_json(row["config"])
        teacher = config.backbone
        yield from ("```", "method:", "  name: gatys", f"  content_layers: [{', '.join(config.content_layers)}]")
        yield f"  style_layers: [{', '.join(config.style_layers)}]"
        yield f"  backbone: {{name: {teacher.name}, weights: {name}.safetensors, input: {teacher.expected_input}}}"
        yield "```"
    yield "The file holds float16 tensors under torchvision's names of a VGG, with fewer filters."


def _facts(row: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of the card's table; what is not known has no row."""
    styles = list(zip(from_json(row["style_names"]), from_json(row["style_digests"]), strict=True))
    yield "model id", f"`{row['model_id']}`"
    yield "weights", f"`{name}.safetensors`, SHA-256 `{row['weights_digest']}`, {row['parameters']:,} numbers"
    for style, digest in styles[:_STYLES_SHOWN]:
        yield "style", f"{style} (SHA-256 `{digest}`)"
    if row["colors"]:
        yield "colours of its masks", ", ".join(f"`{color}`" for color in from_json(row["colors"]))
    if len(styles) > _STYLES_SHOWN:
        yield "more styles", str(len(styles) - _STYLES_SHOWN)
    if row["data_digest"]:
        yield "photographs", f"{row['photographs']:,} (set `{row['data_digest'][:16]}`)"
    if row["backbone"]:
        yield "backbone of the losses", f"{row['backbone']} (`{row['backbone_digest']}`)"
    if row["parent_model"]:
        yield "began with", f"`{row['parent_model']}`"
    if row["steps_done"]:
        yield "steps", f"{row['steps_done']:,} in {row['seconds']:,.0f} s on {row['device_name']}"
    for loss in _LOSSES:
        if row[loss] is not None:
            yield loss.replace("_", " "), f"{row[loss]:.6g}"
    yield from _fidelity(row)
    version = f", torch {row['torch_version']}" if row["torch_version"] else ""
    yield "finished", f"{row['finished_at']:%Y-%m-%d %H:%M} UTC{version}"


def _fidelity(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield how near the pictures of a `super_resolution` network are to the photographs, beside bicubic ones."""
    for name, unit in (("psnr", "dB"), ("ssim", "")):
        made, bicubic = (row[f"validation_{name}_y{what}"] for what in ("", "_bicubic"))
        if made is not None:
            yield f"{name.upper()} of Y", f"{made:.4g} {unit} (bicubic interpolation: {bicubic:.4g} {unit})"


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in text)
