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
    import numpy as np

    from tasks.catalog import Catalog

_OUTPUTS: Final = {
    ".png": OutputFormat("png"),
    ".jpg": OutputFormat("jpeg"),
    ".jpeg": OutputFormat("jpeg"),
    ".webp": OutputFormat("webp"),
}


class Painter:
    """A trained network with its style, ready to paint pictures one by one.

    Args:
        catalog: The catalog whose models may be named.
        model: Id of a trained model or the beginning of it, or the URI of a .safetensors file; "" takes the latest
            model that knows any style.
        style: Path or URI of a painting, for models that know several styles or any.
        size: Long side in pixels at which the network sees a picture; by default the picture's own.
        alpha: Strength of the style, 0..1.
        device: A torch device.

    Attributes:
        name: Short name of the network.
        digest: SHA-256 of the network's file.
        factor: Size of what it paints, divided by the size of what it sees.
        paints_masks: Whether it paints masks and no photographs.

    Raises:
        UserError: Neither model nor style is given, or something that is named cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        model: str = "",
        style: str = "",
        size: int | None = None,
        alpha: float = 1.0,
        device: str = "cpu",
    ) -> None:
        if not model and not style:
            raise UserError("neither a model nor a style is given", hint="--model ID, or --style PAINTING")
        self._styles = (_read(style),) if style else ()
        self._workspace, self._model = Workspace(device, lambda _: {}), model
        self._network, self.name = _network(catalog, model)
        self._size, self._alpha, self.device = size, alpha, device
        loaded = self._workspace.network(self._network, torch.float32)
        self._family, self.factor = loaded.family, loaded.factor
        refuse_to_paint(self._family)
        training = TRAINING_CONFIGS[self._family]
        if style and training.KNOWS in {"none", "one"}:
            what = "is trained for one style" if training.KNOWS == "one" else "takes no style"
            raise UserError(f"model {self.name} is {self._family}, which {what}", hint="leave out --style")
        self.paints_masks = training.PAINTS == "masks"
        self.digest = self._network.digest

    def request(self, content: Pixels, name: str) -> Request:
        """Return what the network is asked to paint of a photograph or mask, which errors call `name`."""
        own = min(self._size or max(content.array.shape[:2]), MAX_SIDE // self.factor)
        config = FeedforwardConfig(
            family=self._family,
            model=self._model or "latest",
            alpha=self._alpha,
            size=own,
        )
        mask = None
        if self.paints_masks:
            with naming(name):
                mask = read_labels(content.digest, content.array)
        return Request(
            cell_id="one",
            content=None if mask else content,
            styles=self._styles,
            style_weights=(1.0,) * len(self._styles),
            mix="targets",
            config=config,
            content_mask=mask,
            model=self._network,
        )

    def paint(self, request: Request) -> np.ndarray:
        """Return the picture of a request, (H, W, 3) uint8 RGB.

        Raises:
            NstError: The network cannot paint it.
        """
        result = stylize_batch([request], self._workspace)[0]
        if result.error:
            raise result.error
        assert result.image is not None
        return result.image


def stylize_file(painter: Painter, photo: str, style: str = "", out: Path | None = None) -> Path:
    """Stylize or enlarge one photograph, or paint one mask, and return the file written.

    Args:
        painter: The network with its style.
        photo: Path or URI of the photograph, or of a mask for models that paint masks.
        style: Path or URI of the painter's style, for the name of the file.
        out: File to write; by default in the working directory, named after photograph and style.

    Raises:
        UserError: Something that is named cannot be used.
    """
    output = _OUTPUTS.get(out.suffix.lower() if out else ".png")
    if output is None:
        known = ", ".join(sorted(set(EXTENSIONS.values())))
        found = f"{out} has no known ending of a picture, and {redacted(photo)} is no clip"
        raise UserError(found, hint=f"known: {known}")
    image = painter.paint(painter.request(_read(photo), photo))
    target = out or Path(f"{stem(photo)}-{stem(style) if style else painter.name}.png")
    named = {"content": redacted(photo), "style": redacted(style)}
    provenance = {"software": "nst", **named, "model": painter.digest}
    open_store(str(target.parent)).put(target.name, encode(image, output, provenance))
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
