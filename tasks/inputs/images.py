"""From what a manifest says of an image and its mask to a record with digests. Never torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nst.config.locations import WEB_SCHEMES
from nst.errors import InputError
from nst.manifest.blocks import is_color
from nst.pictures.decoding import MAX_BYTES
from nst.records import ImageRef, MaskRef
from nst.redaction import redacted
from tasks.inputs.looking import Seen, look_at_image, look_at_mask
from tasks.inputs.uris import CLIP_SUFFIXES, glob_uri
from tasks.store import Stat
from tasks.store.contract import UnreadableError
from tasks.store.opening import locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.yaml.positions import Path
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a manifest names, before its bytes are read.

    Attributes:
        name: Readable name, not yet unique.
        image: The image; None for a content that is a mask alone.
        mask: Its label image, or the colour `#rrggbb` of the whole image, or None.
        place: Where the manifest names it.
        alone: Whether the manifest names it by itself, and not as one of those in a folder or of a glob.
    """

    name: str
    image: Stat | None
    mask: Stat | str | None
    place: Path = ()
    alone: bool = False


def find_images(uri: str, base: BaseUri) -> list[Stat]:
    """Return the images that a URI, glob or prefix names, with absolute URIs as keys, sorted.

    Raises:
        InputError: There is none, or it may not be named, or one is a clip.
    """
    found = glob_uri(base.join(uri), bounds=base.bounds)
    for stat in found:
        if is_clip_name(stat.key):
            raise InputError(f"{redacted(stat.key)} is a clip, expected a still", hint=f"write {{video: {uri}}}")
    return found


def is_clip_name(uri: str) -> bool:
    """Return whether a file is a clip by the ending of its name."""
    return locate(uri).ending in CLIP_SUFFIXES


def find_files(uri: str, base: BaseUri) -> list[Stat]:
    """Return the files that a URI, glob or prefix names, clips or images; else as `find_images`."""
    return glob_uri(base.join(uri), bounds=base.bounds)


def find_mask(mask: str | None, base: BaseUri) -> Stat | str | None:
    """Return the label image that a mask names, or its colour.

    Raises:
        InputError: There is no such image, or there are several.
    """
    return mask if mask is None or is_color(mask) else find_image(mask, base, "as a mask")


def find_image(uri: str, base: BaseUri, purpose: str) -> Stat:
    """Return the only image that a URI names; `purpose` ends the message where there are several.

    Raises:
        InputError: There is no such image, or there are several.
    """
    found = find_images(uri, base)
    if len(found) > 1:
        raise InputError(f"{uri} names {len(found)} images, expected one {purpose}")
    return found[0]


def image_refs(images: Sequence[FoundImage], digests: Digests) -> list[ImageRef]:
    """Return the images with their digests, under unique names.

    An image that has too many bytes, comes too slowly, is a link that gives no answer of a web server or begins like no
    picture has a fault, with which its cells fail; the others go on.
    """
    stats = [stat for found in images for stat in (found.image, found.mask) if isinstance(stat, Stat)]
    known = dict(zip((stat.key for stat in stats), digests.each_of(stats, MAX_BYTES), strict=True))
    refs = []
    for name, found in zip(unique([found.name for found in images]), images, strict=True):
        mask = _color(found.mask)
        if isinstance(found.mask, Stat):
            uri, digest, link, fault = _read(found.mask, known)
            seen = Seen(fault=fault) if fault else look_at_mask(found.mask, digest, digests)
            mask = MaskRef(uri, digest, link, seen.fault, seen.size, seen.colors)
        uri, digest, link, fault = _read(found.image, known) if found.image else ("", "", "", "")
        seen = Seen(fault=fault) if fault or not found.image else look_at_image(found.image, digests)
        refs.append(ImageRef(name, uri, digest, mask, link, seen.fault, seen.size))
    return refs


def _read(stat: Stat, known: dict[str, str | UnreadableError]) -> tuple[str, str, str, str]:
    """Return the URI as it may be shown, the digest, the link if it is another, and the fault."""
    uri, digest = redacted(stat.key), known[stat.key]
    link = stat.key if uri != stat.key else ""
    if isinstance(digest, UnreadableError):
        return uri, hashlib.sha256(f"unread {uri} {stat.etag} {stat.size}".encode()).hexdigest(), link, str(digest)
    return uri, digest, link, ""


def _color(mask: Stat | str | None) -> MaskRef | None:
    return MaskRef(mask, mask, colors=(mask,)) if isinstance(mask, str) else None


def stem(uri: str) -> str:
    """Return a file's name without its extension, as people would call the picture.

    The name in a link is decoded, and its query is no part of it; a local name and that of an object are taken as they
    are.
    """
    location = locate(uri)
    path = unquote(location.bare) if location.scheme in WEB_SCHEMES else location.path
    return PurePosixPath(path).stem or "image"


def unique(names: Sequence[str]) -> list[str]:
    """Return the names, later ones numbered where they repeat."""
    taken = Counter(names)
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if taken[name] == 1 or seen[name] == 1 else f"{name}-{seen[name]}")
    return result
