"""The style that a network was trained for, as its row in the catalog or the notes in its file tell it. Never torch.

A file of weights may come from anybody. What its notes say of a style is recorded with the pictures of the network; but
of the places that they name, local files alone are read, so that no file makes this machine ask another one.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nst.config.locations import LocationError, parse_location
from nst.config.training import TRAINING_CONFIGS
from nst.errors import InputError
from nst.records import ImageRef, StyleRef
from nst.yaml.json_text import from_json
from tasks.inputs.bounds import Bounds, real_path
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.tensor_headers import tensor_notes
from tasks.inputs.uris import read_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.store import Store

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST: Final = 2048
"""Most letters of a name or URI in the notes of a file; longer ones are left out."""


def style_notes(styles: Sequence[ImageRef]) -> dict[str, str]:
    """Return what the notes in the file of a network say of its styles, in the order of their digests.

    `styles` are their SHA-256, which networks of several styles need to find their rows (`nst.networks.metadata_of`).
    """
    return {
        "styles": json.dumps([style.digest for style in styles]),
        "style_names": json.dumps([style.name for style in styles]),
        "style_uris": json.dumps([style.uri for style in styles]),
    }


def styles_in(notes: Mapping[str, str]) -> list[ImageRef]:
    """Return the styles that the notes in the file of a network name; none where the notes make no sense.

    An image without a name is called by the beginning of its digest. The URI of an image that is no local file is left
    out.
    """
    digests, names, uris = (_texts(notes.get(key, "[]")) for key in ("styles", "style_names", "style_uris"))
    if not all(map(_DIGEST.fullmatch, digests)):
        return []
    names = names if len(names) == len(digests) else [""] * len(digests)
    uris = uris if len(uris) == len(digests) else [""] * len(digests)
    return [
        ImageRef(name or digest[:8], uri if _is_local(uri) else "", digest)
        for name, uri, digest in zip(names, uris, digests, strict=True)
    ]


def trained_style(family: str, images: Sequence[ImageRef]) -> StyleRef | None:
    """Return the style of a network, given the images that it was trained for; None for families of other styles."""
    training = TRAINING_CONFIGS.get(family)
    if training is None or training.KNOWS != "one" or len(images) != 1:
        return None
    (image,) = images
    if not image.uri:
        image = replace(image, fault="it is not known where the image of this style lies")
    return StyleRef(image.name, (image,), (1.0,))


def remember_import(store: Store, digest: str, styles: Sequence[ImageRef]) -> None:
    """Remember the styles of a network that was imported, by the SHA-256 of its file as it was before.

    What is imported is another file, whose notes tell the styles; this serves those who go on naming the first one.
    """
    if styles:
        store.put(_imported_key(digest), json.dumps(style_notes(styles)).encode())


def _imported_key(digest: str) -> str:
    return f"state/weights/imported-{digest}.json"


def style_of_file(uri: str, digest: str, store: Store, bounds: Bounds) -> StyleRef | None:
    """Return the style that the notes in a network's file name, or that was given when it was imported; or None.

    Of a local file the header is read. Any other file is read whole, once: its notes are remembered below the root.

    Args:
        uri: Absolute URI of the .safetensors file.
        digest: SHA-256 of its bytes.
        store: The objects of the root.
        bounds: Which local files may be read; the image of the style is only read if it is one of them.
    """
    try:
        notes = _notes(uri, digest, store)
    except InputError:  # whoever runs the network says what is wrong with its file
        return None
    known = notes if styles_in(notes) else _remembered(store, _imported_key(digest)) or {}
    images = [
        image if not image.uri or bounds.allows(real_path(parse_location(image.uri).path)) else replace(image, uri="")
        for image in styles_in(known)
    ]
    return trained_style(notes.get("family", ""), images)


def family_of_file(uri: str, digest: str, store: Store) -> str:
    """Return the family that the notes in a network's file name, "" where they name none that is known here.

    Args:
        uri: Absolute URI of the .safetensors file.
        digest: SHA-256 of its bytes.
        store: The objects of the root.
    """
    try:
        family = _notes(uri, digest, store).get("family", "")
    except InputError:  # whoever runs the network says what is wrong with its file
        return ""
    return family if family in TRAINING_CONFIGS else ""


def _notes(uri: str, digest: str, store: Store) -> dict[str, str]:
    location = parse_location(uri)
    if location.is_local:
        path = Path(location.path)
        with path.open("rb") as file:
            return tensor_notes(file, uri, path.stat().st_size)
    key = f"state/weights/notes-{digest}.json"
    notes = _remembered(store, key)
    if notes is None:
        data = read_uri(uri, max_bytes=MOST_BYTES)
        notes = tensor_notes(io.BytesIO(data), uri, len(data))
        store.put(key, json.dumps(notes).encode())
    return notes


def _remembered(store: Store, key: str) -> dict[str, str] | None:
    """Return the notes that an object holds, or None if there is none or it is damaged."""
    try:
        return {str(name): str(text) for name, text in from_json(store.get(key)).items()}
    except (FileNotFoundError, ValueError, AttributeError):
        return None


def _texts(text: str) -> list[str]:
    """Return a JSON list of texts; empty where it is something else."""
    try:
        found: Any = from_json(text)
    except ValueError:
        return []
    whole = isinstance(found, list) and all(isinstance(item, str) and len(item) <= _LONGEST for item in found)
    return list(found) if whole else []


def _is_local(uri: str) -> bool:
    try:
        location = parse_location(uri)
    except LocationError:
        return False
    return location.is_local and location.path.startswith("/")
