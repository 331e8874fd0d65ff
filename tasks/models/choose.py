"""Which trained models a root has, and which of them a user means. Never torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nst.config.training import TRAINING_CONFIGS
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tasks.catalog import Catalog

_COLUMNS: Final = (
    "model_id", "family", "name", "style_names", "style_digests", "weights_digest", "finished_at",
)  # fmt: skip
METHOD: Final = "training"
"""`method` of a failed training in the `failures` table."""

_SHORTEST: Final = 4
"""Characters of the beginning of an id that name a model."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What is needed to choose a model and to use it."""

    model_id: str
    family: str
    name: str
    """Of its manifest."""
    styles: tuple[str, ...]
    """Names."""
    style_digests: tuple[str, ...]
    weights_uri: str
    weights_digest: str
    finished_at: datetime

    def __str__(self) -> str:
        styles = f": {', '.join(self.styles[:3])}" if self.styles else ""
        return f"{self.model_id[:8]} ({self.family} {self.name}{styles})"


def trained_models(catalog: Catalog) -> list[TrainedModel]:
    """Return every trained model of a root, the newest first."""
    models = [_model(catalog, row) for row in catalog.read("models", _COLUMNS).to_pylist()]
    return sorted(models, key=lambda model: (model.finished_at, model.model_id), reverse=True)


def find_model(models: Sequence[TrainedModel], wanted: str) -> TrainedModel:
    """Return the model with this id, or the only one whose id begins so.

    Raises:
        InputError: There is none, or several.
    """
    found = [model for model in models if len(wanted) >= _SHORTEST and model.model_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{len(found)} models begin with {wanted!r}", hint=f"they are {_few(found)}")
    raise InputError(f"no model {wanted!r}", hint=f"models: {_few(models)}" if models else "train one with nst run")


def latest_model(models: Sequence[TrainedModel], family: str, style_digests: Sequence[str]) -> TrainedModel:
    """Return the newest model of a family that knows these style images; any model of a family that knows every style.

    Raises:
        InputError: There is none.
    """
    any_style = TRAINING_CONFIGS[family].KNOWS == "any"
    for model in models:
        if model.family == family and (any_style or set(style_digests) <= set(model.style_digests)):
            return model
    ours = [model for model in models if model.family == family]
    what = f"no {family} model is trained" if not ours else f"no {family} model is trained for this style"
    raise InputError(what, hint=f"there are {_few(ours)}" if ours else "train one with nst run, see `kind: train`")


def latest_of_any_style(models: Sequence[TrainedModel]) -> TrainedModel:
    """Return the newest model that is given its style with the picture.

    Raises:
        InputError: There is none.
    """
    families = [family for family, known in TRAINING_CONFIGS.items() if known.KNOWS == "any"]
    for model in models:
        if model.family in families:
            return model
    what = f"no model that knows any style ({', '.join(families)}) is trained"
    raise InputError(what, hint="train one with nst run, see `kind: train`")


def _few(models: Sequence[TrainedModel]) -> str:
    return ", ".join(str(model) for model in models[:5]) + (", ..." if len(models) > 5 else "")


def _model(catalog: Catalog, row: dict[str, Any]) -> TrainedModel:
    digest = row["weights_digest"]
    return TrainedModel(
        model_id=row["model_id"],
        family=row["family"],
        name=row["name"],
        styles=tuple(json.loads(row["style_names"])),
        style_digests=tuple(json.loads(row["style_digests"])),
        # By its digest and not as the row says: a root may have been copied since.
        weights_uri=catalog.store.url(f"models/{digest[:2]}/{digest}.safetensors"),
        weights_digest=digest,
        finished_at=row["finished_at"],
    )
