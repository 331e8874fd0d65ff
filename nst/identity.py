"""What makes two cells the same: a hash of everything that determines a cell's pixels, and of nothing else.

A cell's id covers the method with its declared version, the validated settings, the digests of the input images and
of the backbone's weights, and, for a lossy encoding, the output format. It is a hash of four keys, so that a plan of a
million cells hashes each setting, content and style once.

A cell's address is a hash of what the manifest says: of URIs and settings, without digests and versions. A cell with a
known address and a new id tells that an input or the method has changed since.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from nst.config.start import StartPicture
from nst.config.video import VERSION as VIDEO_VERSION
from nst.records import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nst.config.block import Settings
    from nst.config.method import Method
    from nst.records import Cell, ImageRef, ModelRef, StyleRef

SCHEMA: Final = 1
"""Version of the way of hashing in this file: raising it gives every cell a new id."""

WEIGHTS_LOCATION: Final = "backbone.weights"
"""Key of the fragment that says where the weights of the backbone lie."""

START_LOCATION: Final = "init.uri"
"""Key of the fragment that says where a given starting picture lies."""

_NO_IMAGE: Final = bytes(16)


def canonical(value: Any) -> str:
    """Return a value as JSON that is equal for equal values: sorted keys, no spaces, no negative zero."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def fragments(config: Settings, fields: Iterable[str] | None = None) -> dict[str, str]:
    """Return the canonical text of each setting, or of those of `fields`.

    The backbone comes in two parts. `backbone` determines the pixels together with the digest of the weights;
    `WEIGHTS_LOCATION` only says where the weights lie. The seed of a backbone counts for random weights alone. A given
    starting picture comes in two parts as well: its digest counts (`method_key`), and not where it lies. A setting of
    `ADDED_LATER` has no text at its default, so that what was made before the setting existed keeps its id.
    """
    parts = {}
    settings = type(config)
    for field in fields or settings.model_fields:
        value = getattr(config, field)
        if field in settings.ADDED_LATER and value == settings.model_fields[field].default:
            parts[field] = ""
            continue
        if field == "backbone" and value.weights != "random":
            parts[WEIGHTS_LOCATION] = f"{WEIGHTS_LOCATION}:{canonical([value.weights, value.seed])}"
        if isinstance(value, StartPicture):
            parts[START_LOCATION] = f"{START_LOCATION}:{canonical(value.uri)}"
            value = "picture"
        parts[field] = fragment(field, value)
    return parts


def fragment(field: str, value: Any, without: Collection[str] = ()) -> str:
    """Return the canonical text of one setting, given its value, without some settings of its block."""
    left_out = set(without)
    if field == "backbone" and value.weights != "random":
        left_out |= {"weights", "seed"}
    if left_out:
        value = value.model_dump(mode="json", exclude=left_out)
    return f"{field}:{canonical(value)}"


def pixel_fields(settings: type[Settings]) -> list[str]:
    """Return the settings that pixels or weights depend on, in the order in which they are hashed."""
    return sorted(settings.model_fields.keys() - settings.NOT_PIXELS)


def settings_key(parts: Mapping[str, str], fields: Iterable[str]) -> bytes:
    """Return the key of the settings `fields`, given their `fragments`."""
    return digest16("\n".join([text for field in fields if (text := parts[field])]))


def method_key(
    config: Method,
    weights_digest: str,
    output: OutputFormat,
    start: ImageRef | None = None,
    finish: ModelRef | None = None,
) -> bytes:
    """Return the key of the method with its version, weights, given start, last step, and what the format changes."""
    encoding = [*([output.format, output.quality] if output.format != "png" else []), *_alpha(output)]
    given = [{"start": start.digest}] if start else []
    last = [{"finish": finish.identity}] if finish else []
    return digest16(canonical([SCHEMA, config.name, config.version, weights_digest, encoding, *given, *last]))


def content_key(content: ImageRef | None) -> bytes:
    """Return the key of a content image, from its bytes and those of its mask: names and locations do not count."""
    if content is None:
        return _NO_IMAGE
    if content.clip:
        clip, mask = content.clip, content.mask.digest if content.mask else None
        return digest16(
            canonical([content.digest, mask, *_video(), clip.first, clip.last, clip.every, clip.rate, clip.form])
        )
    return digest16(canonical([content.digest, content.mask.digest]) if content.mask else content.digest)


def shot_key(content: ImageRef) -> bytes:
    """Return the key of a clip, whichever of its frames are to be stylized: what its frames have in common."""
    return digest16(canonical([content.digest, content.mask.digest if content.mask else None, *_video()]))


def chain_id(cell: Cell, weights_digest: str) -> str:
    """Return what the frames of a cell's clip have in common: 32 hexadecimal digits.

    It is the cell's id without the selection of frames and without the encoding of the clip, so that another selection
    finds the frames that are done.
    """
    assert cell.content is not None, "a clip is a content"
    settings = settings_key(fragments(cell.config), pixel_fields(type(cell.config)))
    method = method_key(cell.config, weights_digest, OutputFormat(), cell.start, cell.finish)
    style = network_key(style_key(cell.style), cell.model) if cell.model else style_key(cell.style)
    return join(settings + method, shot_key(cell.content) + style)


def frame_id(chain: str, *before: str | int) -> str:
    """Return the id of a frame of a chain, given what it follows from: 32 hexadecimal digits.

    Args:
        chain: The `chain_id`.
        before: Its number, its pass, and the ids of the frames that it starts from.
    """
    return digest16(canonical([chain, *before])).hex()


def style_key(style: StyleRef | None) -> bytes:
    """Return the key of a style, from the bytes of its images and masks; of several images, also from their mix."""
    if style is None:
        return _NO_IMAGE
    masks = [image.mask.digest if image.mask else None for image in style.images]
    return digest16(
        canonical([[image.digest for image in style.images], *_mix(style), *_masks(masks), *_scales(style)])
    )


def network_key(style: bytes, model: ModelRef) -> bytes:
    """Return the key of a style (`style_key`) together with the trained network that takes it."""
    return digest16(f"{style.hex()}:{model.identity}")


def join(left: bytes, right: bytes) -> str:
    """Return the id or address of a cell: 32 hexadecimal digits.

    Args:
        left: The keys of its settings and of its method.
        right: The keys of its images.
    """
    return blake2b(left + right, digest_size=16).hexdigest()


def cell_id(
    config: Method,
    content: ImageRef | None,
    style: StyleRef | None,
    weights_digest: str,
    output: OutputFormat,
    *,
    start: ImageRef | None = None,
) -> str:
    """Return the id of one cell: 32 hexadecimal digits."""
    settings = settings_key(fragments(config), pixel_fields(type(config)))
    return join(settings + method_key(config, weights_digest, output, start), content_key(content) + style_key(style))


def address(cell: Cell) -> str:
    """Return the address of a cell: 32 hexadecimal digits."""
    settings = settings_key(fragments(cell.config), pixel_fields(type(cell.config)))
    method = written_method_key(cell.config, cell.output)
    return join(settings + method, written_inputs_key(cell.content, cell.style))


def written_method_key(config: Method, output: OutputFormat) -> bytes:
    """Return the part of an address that names the method, its files as written, and the output format."""
    start = [{"start": config.start_picture.uri}] if config.start_picture else []
    finish = [{"finish": config.finish.model}] if config.finish else []
    encoding = [output.format, output.quality, *_alpha(output)]
    return digest16(canonical([config.name, *config.weights_as_written, *encoding, *start, *finish]))


def written_inputs_key(content: ImageRef | None, style: StyleRef | None) -> bytes:
    """Return the part of an address that names the images and masks by their URIs."""
    uris: list[Any] = [content.uri if content else None, [image.uri for image in style.images] if style else None]
    if content and content.clip:
        uris.append([content.clip.first, content.clip.last, content.clip.every])
    images = [content, *(style.images if style else ())]
    masks = [image.mask.uri if image and image.mask else None for image in images]
    return digest16(
        canonical([*uris, *(_mix(style) if style else []), *_masks(masks), *(_scales(style) if style else [])])
    )


def digest16(text: str) -> bytes:
    """Return a 128-bit hash of a text."""
    return blake2b(text.encode(), digest_size=16).digest()


def hex_of(parts: Iterable[str], *, size: int = 16) -> str:
    """Return a hash of texts of equal length, in order."""
    total = blake2b(digest_size=size)
    for part in parts:
        total.update(part.encode())
    return total.hexdigest()


def _video() -> list[Any]:
    """Return what marks the keys of clips: the version of how frames follow from each other."""
    return [{"video": VIDEO_VERSION}]


def _alpha(output: OutputFormat) -> list[Any]:
    """Return what kept transparency adds to a key: nothing without it."""
    return [{"alpha": True}] if output.alpha else []


def _mix(style: StyleRef) -> list[Any]:
    """Return what the way of mixing adds to a key: nothing if there is one image."""
    if len(style.images) == 1:
        return []
    whole = 1.0 if style.mix == "sum" else sum(style.weights)
    return [style.mix, [float(f"{weight / whole:.12g}") for weight in style.weights]]


def _scales(style: StyleRef) -> list[Any]:
    """Return what the sizes of single images add to a key: nothing if the method sizes all of them alike."""
    return [{"scales": list(style.scales)}] if style.scales else []


def _masks(masks: list[str | None]) -> list[Any]:
    """Return what masks add to a key: nothing if there are none, so that cells without masks keep their ids."""
    return [{"masks": masks}] if any(masks) else []


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, float):
        return value + 0.0  # -0.0 + 0.0 is 0.0
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
