"""Adds a network that somebody else trained to the models of a root, from its files of any format that is known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nst.config.finish import LATEST
from nst.config.training import TRAINING_CONFIGS
from nst.errors import InputError, UserError
from nst.networks import FORMAT, network_from
from nst.networks.importing import distinct_names, layout_of
from nst.networks.importing.torch7 import NOTE as TORCH7
from nst.networks.importing.torch7 import torch7_net
from tasks.inputs.digests import MOST_BYTES, Digests
from tasks.inputs.images import FoundImage, image_refs, stem
from tasks.inputs.reading import read_picture
from tasks.inputs.tensor_headers import file_format
from tasks.inputs.torch7_modules import modules_in
from tasks.inputs.uris import read_uri, stat_uri
from tasks.models.files import parse_tensors, write_weights
from tasks.models.torch_files import load_own_tensors
from tasks.models.trained_style import remember_import, style_notes, styles_in
from tasks.store.opening import locate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.records import ImageRef
    from tasks.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that was imported.

    Attributes:
        model_id: Id of the model.
        untried: The implementation that the network is from, a repository, if no file of its authors was at hand to try
            its layout on; "" otherwise.
    """

    model_id: str
    untried: str


def import_model(catalog: Catalog, uris: Sequence[str], name: str = "", style: str = "") -> Imported:
    """Write a network below the root, with a row in the `models` table.

    The row and the notes of the file say which style a network of one style was trained for, as far as that is known:
    from `style`, or else from the notes of the file itself. The style is part of the model: the same network with
    another style, or with none, is another model.

    Args:
        catalog: The catalog of the root.
        uris: Paths or URIs of the network's files; AdaIN has two, a decoder and its encoder.
        name: Name of the model, by which it can be chosen; by default the first file's name.
        style: Path or URI of the image that the network was trained for; "" if it is not known, or if the network takes
            any style.

    Raises:
        UserError: The name is one that a manifest understands as something else, or a style is given for a network of
            several styles or of any, or for one whose file names another style.
        InputError: A file is of no known format, or the tensors are those of no known network
            (`nst.networks.importing`); or the style is no picture.
    """
    name = name or stem(uris[0])
    if name == LATEST or name.endswith((".safetensors", ".yaml", ".yml")):
        raise UserError(
            f"no model can be named {name!r}", hint="`model` has another meaning for it; pass another --name"
        )
    notes: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for uri in uris:
        data = read_uri(uri, max_bytes=MOST_BYTES)
        found, part = _read(uri, data)
        if twice := sorted(part.keys() & tensors.keys()):
            raise InputError(f"{uri} holds {twice[0]} again", hint="name every part once")
        notes = {**found, **notes}
        tensors |= part
    layout = None if notes.get("format") == FORMAT else layout_of(notes, tensors)
    if layout is not None and layout.build is not torch7_net:
        notes.pop(TORCH7, None)  # AdaIN's parts have a place in no chain of modules
    family = network_from(notes, tensors).family
    notes.setdefault("family", family)
    if style:
        notes |= style_notes([_style_image(style, family, notes, catalog)])
    styles = styles_in(notes)
    files = write_weights(catalog.store, (tensors, notes))
    model_id = hashlib.sha256(f"imported {files['weights_digest']}".encode()).hexdigest()[:32]
    row = {
        "model_id": model_id,
        "family": family,
        "name": name,
        "style_names": json.dumps([image.name for image in styles]),
        "style_uris": json.dumps([image.uri for image in styles]),
        "style_digests": json.dumps([image.digest for image in styles]),
        **files,
        "finished_at": datetime.now(UTC),
    }
    catalog.commit("models", model_id, "imported", [row])
    catalog.publish("models")
    if len(uris) == 1:
        remember_import(catalog.store, hashlib.sha256(data).hexdigest(), styles)
    return Imported(model_id, "" if layout is None or layout.tried else layout.source)


def _read(uri: str, data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the notes and the tensors of one file of a network.

    Raises:
        InputError: The file is of no known format, or damaged.
    """
    kind = file_format(uri, data[:8])
    if kind == "torch":
        return {}, distinct_names(load_own_tensors(data, uri), stem(uri))
    if kind == "torch7":
        about, arrays = modules_in(data, uri)
        tensors = {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}
        return {TORCH7: json.dumps(about)}, distinct_names(tensors, stem(uri))
    notes, tensors = parse_tensors(uri, data)
    return notes, tensors if notes.get("format") == FORMAT else distinct_names(tensors, stem(uri))


def _style_image(style: str, family: str, notes: Mapping[str, str], catalog: Catalog) -> ImageRef:
    """Return the image that a network was trained for, once it is certain that it can be.

    Raises:
        UserError, InputError: As `import_model`.
    """
    if TRAINING_CONFIGS[family].KNOWS != "one":
        raise UserError(f"this network is {family}, which is not trained for one style", hint="leave out --style")
    location = locate(style)
    uri = f"file://{Path(location.path).expanduser().absolute()}" if location.is_local else style
    (image,) = image_refs([FoundImage(stem(uri), stat_uri(uri), None)], Digests(catalog.store))
    read_picture(image)
    told = [known.digest for known in styles_in(notes)]
    if told and told != [image.digest]:
        message = f"{style} is not the image that the file names as its style ({', '.join(told)[:64]})"
        raise UserError(message, hint="leave out --style")
    return image
