"""From the URIs, globs and prefixes of a manifest to images with digests; from backbones to the identity of weights.

Digests are remembered below the root by URI, etag (or time) and size, so that planning again reads nothing again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.config.architectures import ARCHITECTURES
from nst.errors import InputError, NstError
from tasks.inputs.uris import glob_uri, read_uri, stat_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nst.config.backbone import BackboneConfig
    from tasks.store import Stat, Store

_DIGESTS_KEY: Final = "state/digests.json"
_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class Base:
    """What relative inputs are relative to, and whether inputs may be local files.

    Attributes:
        uri: Folder path or URI without a trailing slash.
        remote: Whether the manifest came from a bucket or the web. It is untrusted then: it may name no local file, or
            only those below the folder that the user passed as --inputs.
    """

    uri: str
    remote: bool = False

    @classmethod
    def of(cls, manifest_uri: str, inputs: str) -> Base:
        """Return the base of a manifest: `inputs`, or else its own folder."""
        remote = "://" in manifest_uri and not manifest_uri.startswith("file://")
        folder = inputs.rstrip("/") or (manifest_uri.rpartition("/")[0] or ".")
        return cls(folder, remote=remote)

    def join(self, uri: str) -> str:
        """Return the absolute URI of an input.

        Raises:
            InputError: A manifest from a bucket names a local file outside the folder it was given.
        """
        if "://" in uri and not uri.startswith("file://"):
            return uri
        path = os.path.expanduser(uri.removeprefix("file://"))  # noqa: PTH111  globs are no Paths
        if not posixpath.isabs(path) and "://" in self.uri and not self.uri.startswith("file://"):
            scheme, _, rest = self.uri.partition("://")
            return f"{scheme}://{posixpath.normpath(f'{rest}/{path}')}" if ".." in path else f"{self.uri}/{path}"
        folder = os.path.abspath(self.uri.removeprefix("file://"))  # noqa: PTH100
        full = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
        if self.remote and ("://" in self.uri or not full.startswith(folder + os.sep)):
            raise InputError(
                f"{uri} is a local file, and the manifest came from object storage",
                hint="name inputs by their own URI, or pass --inputs with the folder that it may read",
            )
        return f"file://{full}"


class Digests:
    """SHA-256 digests of inputs, remembered below the root. Losing the memory costs only reading again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, list[str]] = {}
        self._changed = False
        with contextlib.suppress(FileNotFoundError, ValueError):
            loaded = json.loads(store.get(_DIGESTS_KEY))
            self._known = loaded if isinstance(loaded, dict) else {}

    def of(self, stats: Iterable[Stat]) -> list[str]:
        """Return the digest of each object, reading those that are new or changed."""
        wanted = list(stats)
        missing = [stat for stat in wanted if self._known.get(stat.key, [""])[0] != _token(stat)]
        if missing:
            with ThreadPoolExecutor(min(_THREADS, len(missing))) as threads:
                for stat, digest in zip(missing, threads.map(_digest, missing), strict=True):
                    self._known[stat.key] = [_token(stat), digest]
            self._changed = True
        return [self._known[stat.key][1] for stat in wanted]

    def save(self) -> None:
        """Write what was learnt; a store that refuses costs only speed."""
        if self._changed:
            with contextlib.suppress(NstError, OSError):
                self._store.put(_DIGESTS_KEY, json.dumps(self._known).encode())
            self._changed = False


def find_images(uri: str, base: Base) -> list[Stat]:
    """Return the images that a URI, glob or prefix names, with absolute URIs as keys, sorted.

    Raises:
        InputError: There is none, or it may not be named.
    """
    return glob_uri(base.join(uri))


def weights_uri(config: BackboneConfig, base: Base) -> str:
    """Return `random`, `torchvision`, or the absolute URI of the weights' file."""
    return config.weights if config.weights in {"random", "torchvision"} else base.join(config.weights)


def weights_digest(config: BackboneConfig, uri: str, digests: Digests) -> str:
    """Return what identifies a backbone's weights, without reading torchvision's.

    Raises:
        InputError: The file does not exist.
    """
    if uri == "random":
        return f"random{config.RANDOM_VERSION}-{config.name}-{config.seed}"
    if uri == "torchvision":
        return f"torchvision-{ARCHITECTURES[config.name].file.removesuffix('.pth')}"
    return f"sha256-{digests.of([stat_uri(uri)])[0]}"


def _token(stat: Stat) -> str:
    return f"{stat.etag}:{stat.size}"


def _digest(stat: Stat) -> str:
    return hashlib.sha256(read_uri(stat.key)).hexdigest()
