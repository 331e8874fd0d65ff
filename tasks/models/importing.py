"""Adds a network that somebody else trained to the models of a root, from its safetensors files."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nst.errors import InputError
from nst.networks import network_from
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
        name: Name of the model; by default the first file's name.

    Raises:
        InputError: A file is not a safetensors file, or the tensors are those of no known network
            (`nst.networks.importing`).
    """
    notes: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for uri in uris:
        found, part = parse_tensors(uri, read_uri(uri))
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
        "name": name or PurePosixPath(uris[0]).stem,
        **{f"style_{what}": json.dumps([]) for what in ("names", "uris", "digests")},
        **files,
        "finished_at": datetime.now(UTC),
    }
    catalog.commit("models", model_id, "imported", [row])
    catalog.publish("models")
    return model_id
