"""Adds a network that somebody else trained to the models of a root, from its safetensors files."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nst.config.feedforward import LATEST
from nst.errors import InputError, UserError
from nst.networks import network_from
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.images import stem
from tasks.inputs.uris import read_uri
from tasks.models.files import parse_tensors, write_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tasks.catalog import Catalog


def import_model(catalog: Catalog, uris: Sequence[str], name: str = "") -> str:
    """Write a network below the root, with a row in the `models` table; return the model's id.

    Args:
        catalog: The catalog of the root.
        uris: Paths or URIs of the network's files; AdaIN has two, a decoder and its encoder.
        name: Name of the model, by which it can be chosen; by default the first file's name.

    Raises:
        UserError: The name is one that a manifest understands as something else.
        InputError: A file is not a safetensors file, or the tensors are those of no known network
            (`nst.networks.importing`).
    """
    name = name or stem(uris[0])
    if name == LATEST or name.endswith((".safetensors", ".yaml", ".yml")):
        raise UserError(
            f"no model can be named {name!r}", hint="`model` has another meaning for it; pass another --name"
        )
    notes: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for uri in uris:
        found, part = parse_tensors(uri, read_uri(uri, max_bytes=MOST_BYTES))
        if twice := sorted(part.keys() & tensors.keys()):
            raise InputError(f"{uri} holds {twice[0]} again", hint="name every part once")
        notes = {**found, **notes}
        tensors |= part
    family = network_from(notes, tensors).family
    notes.setdefault("family", family)
    files = write_weights(catalog.store, (tensors, notes))
    model_id = hashlib.sha256(f"imported {files['weights_digest']}".encode()).hexdigest()[:32]
    row = {
        "model_id": model_id,
        "family": family,
        "name": name,
        **{f"style_{what}": json.dumps([]) for what in ("names", "uris", "digests")},
        **files,
        "finished_at": datetime.now(UTC),
    }
    catalog.commit("models", model_id, "imported", [row])
    catalog.publish("models")
    return model_id
