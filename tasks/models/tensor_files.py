"""Tensors with notes as bytes in the safetensors format: the same tensors and notes give the same bytes.

The library writes notes in the order of a hash table, which differs from process to process, and reads them only from
files. A model's file is named by its digest, so here the notes are put into the header in alphabetical order.

Source:
    The format: 8 bytes with the header's length, little-endian; the header as JSON, padded with spaces to a multiple of
    8; the tensors. Notes are the header's `__metadata__`, a mapping from text to text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors.torch import load, save

from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_NOTES = "__metadata__"


def dump_tensors(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    """Return contiguous tensors on the CPU, and notes about them, as bytes."""
    header, body = _split(save(dict(tensors)))
    text = json.dumps({_NOTES: dict(sorted(notes.items())), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def load_tensors(data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the notes and the tensors.

    Raises:
        SafetensorError, ValueError: The bytes are not in the safetensors format.
    """
    tensors: dict[str, Tensor] = load(data)
    notes = _split(data)[0].get(_NOTES) or {}
    return {str(key): str(value) for key, value in notes.items()}, tensors


def _split(data: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
    end = 8 + int.from_bytes(data[:8], "little")
    return from_json(data[8:end]), data[end:]
