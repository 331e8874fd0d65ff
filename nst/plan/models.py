"""What makes two trained models the same, and the frozen records of models to be trained. Never imports torch.

A model's id covers its family with the declared version, the validated settings, the digests of the style images, of
the photographs and of the backbone's weights. So content x style x any number of sweeps trains a network once.
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
"""Version of this file's way of hashing: raised, it makes every model new."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One network to be trained: all that its weights follow from."""

    model_id: str
    name: str
    """Name of the manifest."""
    config: Training
    styles: tuple[ImageRef, ...]
    data_digest: str
    """Of all photographs (`data_digest`), "" where none are needed."""
    weights_digest: str
    """Identity of the backbone's weights."""
    parent: str = ""
    """Identity of the model whose weights it begins with, "" for none."""


def data_digest(digests: Iterable[str]) -> str:
    """Return the digest of a set of photographs: of their bytes, whatever their names and order."""
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
        styles: Digests of the style images, in order: a conditional network's rows.
        masks: Digests of their masks, if the family looks at them.
        data: The photographs' `data_digest`.
        weights_digest: Identity of the backbone's weights.
        parent: Identity of the model that it begins with.
    """
    settings = settings_key(fragments(config), pixel_fields(type(config)))
    family = digest16(canonical([SCHEMA, "model", config.family, type(config).VERSION, weights_digest]))
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
    """Return the models of one point of a training manifest: one for each style, or one that holds them all."""
    same = {"data": data if config.photographs else "", "weights_digest": weights_digest, "parent": parent}
    groups = [tuple(styles)] if config.most_styles is None else [(style,) for style in styles]
    return [
        ModelSpec(
            model_id(
                config, [style.digest for style in group], **same,
                masks=[style.mask.digest for style in group if style.mask],
            ),
            name, config, group, same["data"], weights_digest, parent,
        )
        for group in groups
    ]  # fmt: skip
