"""What makes two trained models the same, and the frozen records of models to be trained. Never imports torch.

A model's id covers its family with the declared version, the validated settings, the digests of the style images, of
the photographs and of the backbone's weights: a network is trained once, however many sweeps run it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.identity import canonical, digest16, fragments, join, pixel_fields, settings_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nst.config.training import Training
    from nst.records import ImageRef

SCHEMA: Final = 1
"""Version of the way of hashing in this file: raising it gives every model a new id."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One network to be trained: everything that determines its weights."""

    model_id: str
    name: str
    """Name of the manifest."""
    config: Training
    styles: tuple[ImageRef, ...]
    data_digest: str
    """Digest of all photographs (`data_digest`), "" if none are needed."""
    weights_digest: str
    """Digest of the backbone's weights."""
    parent: str = ""
    """Identity (`nst.records.ModelRef`) of the model whose weights it begins with, "" for none."""


def data_digest(digests: Iterable[str]) -> str:
    """Return the digest of a set of photographs, given the digests of their bytes; the order does not count."""
    return hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest()


def model_id(
    config: Training,
    styles: Sequence[str],
    *,
    data: str,
    weights_digest: str,
    parent: str = "",
    masks: Sequence[str] = (),
) -> str:
    """Return the id of a model: 32 hexadecimal digits.

    Args:
        config: The settings.
        styles: Digests of the style images, in the order of the rows of a network of several styles.
        data: The `data_digest` of the photographs, "" if none are needed.
        weights_digest: Digest of the backbone's weights.
        parent: Identity of the model whose weights it begins with, "" for none.
        masks: Digests of the masks of the styles, if the family learns from masks.
    """
    settings = settings_key(fragments(config), pixel_fields(type(config)))
    family = digest16(canonical([SCHEMA, "model", config.family, config.version, weights_digest]))
    return join(settings + family, digest16(canonical([list(styles), data, parent, *([list(masks)] if masks else [])])))


def models_of(
    name: str,
    config: Training,
    styles: Sequence[ImageRef],
    *,
    data: str,
    weights_digest: str,
    parent: str = "",
) -> list[ModelSpec]:
    """Return the models of one point of a training manifest: one for each style, or one of all styles or of none.

    Args:
        name: Name of the manifest.
        config: The settings.
        styles: The style images.
        data: The `data_digest` of the photographs.
        weights_digest: Digest of the backbone's weights.
        parent: Identity of the model whose weights they begin with, "" for none.
    """
    data = data if config.photographs else ""
    groups = [(style,) for style in styles] if config.most_styles == 1 else [tuple(styles)]
    models = []
    for group in groups:
        digests = [style.digest for style in group]
        masks = [style.mask.digest for style in group if style.mask]
        identity = model_id(config, digests, data=data, weights_digest=weights_digest, parent=parent, masks=masks)
        models.append(ModelSpec(identity, name, config, group, data, weights_digest, parent))
    return models
