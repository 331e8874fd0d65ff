"""Which trained models a root has, and which of them a user means. Never torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nst.config.training import TRAINING_CONFIGS
from nst.errors import InputError
from nst.records import ImageRef, ModelRef
from nst.yaml.json_text import from_json
from tasks.inputs.uris import stat_uri
from tasks.layout import weights_key
from tasks.models.trained_style import trained_style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tasks.catalog import Catalog
    from tasks.inputs.digests import Digests

_COLUMNS: Final = (
    "model_id", "family", "name", "style_names", "style_uris", "style_digests", "weights_digest", "finished_at",
)  # fmt: skip
TRAINING_METHOD: Final = "training"
"""`method` of a failed training in the `failures` table."""

_SHORTEST: Final = 4
"""The fewest leading characters of an id by which a model may be named."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A row of the `models` table: what is needed to choose a model and to use it."""

    model_id: str
    family: str
    name: str
    """Name of the training manifest, or of the imported file."""
    styles: tuple[str, ...]
    """Names of its styles, in order."""
    style_uris: tuple[str, ...]
    style_digests: tuple[str, ...]
    weights_uri: str
    weights_digest: str
    finished_at: datetime

    @property
    def ref(self) -> ModelRef:
        """The model as cells and trainings refer to it."""
        images = [ImageRef(*style) for style in zip(self.styles, self.style_uris, self.style_digests, strict=True)]
        return ModelRef(self.model_id, self.weights_uri, self.weights_digest, trained_style(self.family, images))

    def __str__(self) -> str:
        styles = f": {', '.join(self.styles[:3])}" if self.styles else ""
        return f"{self.model_id[:8]} ({self.family} {self.name}{styles})"


def trained_models(catalog: Catalog) -> list[TrainedModel]:
    """Return every trained model of a root, the newest first."""
    models = [_trained_model(catalog, row) for row in catalog.read("models", _COLUMNS).to_pylist()]
    return sorted(models, key=lambda model: (model.finished_at, model.model_id), reverse=True)


def find_model(models: Sequence[TrainedModel], wanted: str) -> TrainedModel:
    """Return the model with this id, or the only one that has this name or whose id begins so.

    Raises:
        InputError: No model fits, or several do.
    """
    found = [model for model in models if _is_meant(model, wanted)]
    found = [model for model in found if model.model_id == wanted] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{len(found)} models are named {wanted!r} or begin so", hint=f"they are {_listed(found)}")
    raise InputError(f"no model {wanted!r}", hint=f"models: {_listed(models)}" if models else "train one with nst run")


def _is_meant(model: TrainedModel, wanted: str) -> bool:
    return model.name == wanted or (len(wanted) >= _SHORTEST and model.model_id.startswith(wanted))


def latest_model(models: Sequence[TrainedModel], family: str, style_digests: Sequence[str]) -> TrainedModel:
    """Return the newest model of a family that knows these style images, or whose family knows every style.

    Raises:
        InputError: There is no such model.
    """
    any_style = TRAINING_CONFIGS[family].KNOWS == "any"
    for model in models:
        if model.family == family and (any_style or set(style_digests) <= set(model.style_digests)):
            return model
    of_family = [model for model in models if model.family == family]
    if of_family:
        raise InputError(f"no {family} model is trained for this style", hint=f"there are {_listed(of_family)}")
    raise InputError(f"no {family} model is trained", hint="train one with nst run, see `kind: train`")


def model_file(uri: str, digests: Digests) -> ModelRef:
    """Return the model in a .safetensors file, identified by the digest of its bytes.

    Raises:
        InputError: The file does not exist or is too large.
    """
    digest = digests.of([stat_uri(uri)])[0]
    return ModelRef(f"sha256-{digest}", uri, digest)


def latest_of_any_style(models: Sequence[TrainedModel]) -> TrainedModel:
    """Return the newest model of a family that takes any style image with the picture.

    Raises:
        InputError: There is no such model.
    """
    families = [
        family for family, known in TRAINING_CONFIGS.items() if known.KNOWS == "any" and known.MAKES == "pictures"
    ]
    for model in models:
        if model.family in families:
            return model
    what = f"no model that knows any style ({', '.join(families)}) is trained"
    raise InputError(what, hint="train one with nst run, see `kind: train`")


def _listed(models: Sequence[TrainedModel]) -> str:
    """Return the first five models as text."""
    return ", ".join(str(model) for model in models[:5]) + (", ..." if len(models) > 5 else "")


def _trained_model(catalog: Catalog, row: dict[str, Any]) -> TrainedModel:
    digest = row["weights_digest"]
    return TrainedModel(
        model_id=row["model_id"],
        family=row["family"],
        name=row["name"],
        styles=tuple(from_json(row["style_names"])),
        style_uris=tuple(from_json(row["style_uris"])),
        style_digests=tuple(from_json(row["style_digests"])),
        # Named by its digest and not by the row's URI: the root may have been copied since.
        weights_uri=catalog.store.url(weights_key(digest)),
        weights_digest=digest,
        finished_at=row["finished_at"],
    )
