"""Where the weights of a backbone lie and what identifies them; `tasks.models.backbone_weights` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nst.config.architectures import ARCHITECTURES
from tasks.inputs.uris import stat_uri

if TYPE_CHECKING:
    from nst.config.backbone import BackboneConfig
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests


@dataclass(frozen=True, slots=True)
class WeightsRef:
    """The weights of a backbone.

    Attributes:
        uri: `random`, `torchvision`, or the absolute URI of a file; a signed link with its signature.
        digest: Their identity, part of the ids of cells and models: `sha256-` and the digest of the file,
            `torchvision-` and the name of torchvision's file, or the seed of random weights.
    """

    uri: str
    digest: str


def find_weights(config: BackboneConfig, base: BaseUri, digests: Digests) -> WeightsRef:
    """Return the weights that a backbone names; a file is read for its digest, torchvision's are not.

    Raises:
        InputError: The file does not exist, is too large, or may not be named.
    """
    if config.weights == "random":
        return WeightsRef("random", f"random{config.RANDOM_VERSION}-{config.name}-{config.seed}")
    if config.weights == "torchvision":
        return WeightsRef("torchvision", f"torchvision-{ARCHITECTURES[config.name].file.removesuffix('.pth')}")
    uri = base.join(config.weights)
    return WeightsRef(uri, f"sha256-{digests.of([stat_uri(uri)])[0]}")
