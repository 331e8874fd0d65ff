"""One picture through a trained network, from a file to a file; nothing is recorded in the catalog."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from nst.config.feedforward import FeedforwardConfig
from nst.config.training import TRAINING_CONFIGS, refuse_to_paint
from nst.errors import UserError
from nst.methods.feedforward import stylize_batch
from nst.pictures.images import EXTENSIONS, MAX_BYTES, MAX_SIDE, Pixels, decode, encode
from nst.pictures.masks import read_labels
from nst.records import OutputFormat
from nst.redaction import redacted
from nst.workspace import NetworkFile, Request, Workspace
from tasks.inputs.images import stem
from tasks.inputs.reading import naming
from tasks.inputs.uris import read_uri
from tasks.models.choose import find_model, latest_of_any_style, trained_models
from tasks.models.files import load_model
from tasks.store import open_store

if TYPE_CHECKING:
    from tasks.catalog import Catalog

_OUTPUTS: Final = {
    ".png": OutputFormat("png"),
    ".jpg": OutputFormat("jpeg"),
    ".jpeg": OutputFormat("jpeg"),
    ".webp": OutputFormat("webp"),
}


def stylize_file(
    catalog: Catalog,
    photo: str,
    *,
    model: str = "",
    style: str = "",
    out: Path | None = None,
    size: int | None = None,
    alpha: float = 1.0,
    device: str = "cpu",
) -> Path:
    """Stylize or enlarge one photograph, or paint one mask, and return the file written.

    Args:
        catalog: The catalog whose models may be named.
        photo: Path or URI of the photograph, or of a mask for models that paint masks.
        model: Id of a trained model or the beginning of it, or the URI of a .safetensors file; "" takes the latest
            model that knows any style.
        style: Path or URI of a painting, for models that know several styles or any.
        out: File to write; by default in the working directory, named after photograph and style.
        size: Long side in pixels at which the network sees the photograph; by default the photograph's own.
        alpha: Strength of the style, 0..1.
        device: A torch device.

    Raises:
        UserError: Neither model nor style is given, or something that is named cannot be used.
    """
    if not model and not style:
        raise UserError("neither a model nor a style is given", hint="--model ID, or --style PAINTING")
    output = _OUTPUTS.get(out.suffix.lower() if out else ".png")
    if output is None:
        raise UserError(f"{out} has no known ending", hint=f"known: {', '.join(sorted(set(EXTENSIONS.values())))}")
    content, paintings = _read(photo), [_read(style)] if style else []
    workspace = Workspace(device, lambda _: {})
    network, name = _network(catalog, model)
    loaded = workspace.network(network, torch.float32)
    family = loaded.family
    refuse_to_paint(family)
    knows = TRAINING_CONFIGS[family].KNOWS
    if style and knows in {"none", "one"}:
        what = "is trained for one style" if knows == "one" else "takes no style"
        raise UserError(f"model {name} is {family}, which {what}", hint="leave out --style")
    own = size or max(content.array.shape[:2])
    config = FeedforwardConfig(
        family=family, model=model or "latest", alpha=alpha, size=min(own, MAX_SIDE // loaded.factor)
    )
    mask = None
    if TRAINING_CONFIGS[family].PAINTS == "masks":
        with naming(photo):
            mask = read_labels(content.digest, content.array)
    request = Request(
        cell_id="one",
        content=None if mask else content,
        styles=tuple(paintings),
        style_weights=(1.0,) * len(paintings),
        mix="targets",
        config=config,
        content_mask=mask,
        model=network,
    )
    result = stylize_batch([request], workspace)[0]
    if result.error:
        raise result.error
    assert result.image is not None
    target = out or Path(f"{stem(photo)}-{stem(style) if style else name}.png")
    named = {"content": redacted(photo), "style": redacted(style)}
    provenance = {"software": "nst", **named, "model": network.digest}
    open_store(str(target.parent)).put(target.name, encode(result.image, output, provenance))
    return target


def _network(catalog: Catalog, wanted: str) -> tuple[NetworkFile, str]:
    """Return the network and a short name."""
    if wanted.endswith(".safetensors"):
        return load_model(wanted), stem(wanted)
    models = trained_models(catalog)
    found = find_model(models, wanted) if wanted else latest_of_any_style(models)
    return load_model(found.weights_uri, found.weights_digest), found.styles[0] if found.styles else found.name


def _read(uri: str) -> Pixels:
    data = read_uri(uri, max_bytes=MAX_BYTES)
    with naming(uri):
        return Pixels(hashlib.sha256(data).hexdigest(), decode(data))
