"""The networks that judge pictures, from weights that are at hand: torch's cache, a named file, the package `lpips`."""

from __future__ import annotations

import contextlib
import hashlib
import math
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.energies import CAFFE_VGG19, TORCHVISION_VGG19
from nst.config.judgement import SIDE, JudgeIdentity
from nst.errors import InputError, StorageError, UserError
from nst.judges import Judge, NeutralJudge, VggJudge
from nst.judges.neutral import STRUCTURE, lpips_heads
from nst.judges.vgg import DIRECTIONS
from nst.ops import to_tensor
from nst.pictures.images import decode, resize
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.inputs.weights import WeightsRef, cached_weights, find_weights
from tasks.models.backbone_weights import cache_fault, fetch_weights, load_weights
from tasks.store.opening import locate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from nst.backbones import Backbone
    from tasks.store import Store

_REFERENCES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Photographs of scikit-image's wheel, whose features give the principal directions of the E statistic."""


_KNOWN: Mapping[str, Mapping[str, float]] = {
    "squeezenet": {"torchvision": 0.2613},
    "vgg19": {author.inputs: author.first_weights or 0.0 for author in (TORCHVISION_VGG19, CAFFE_VGG19)},
}
"""Root mean square of the first layer of the weights that judgements are made with, by the input that they expect: of
other weights the numbers would mean something else."""

_ROUNDING = 0.02
"""Largest relative difference of two root mean squares of weights that may come from rounding to half precision."""


@dataclass(frozen=True, slots=True)
class JudgeWeights:
    """Where the weights of a judge lie; None for those that are not at hand.

    Attributes:
        squeezenet: SqueezeNet's weights.
        vgg19: VGG-19's weights.
        vgg19_input: Input that VGG-19's weights expect; "" to tell it by the weights.
    """

    squeezenet: WeightsRef | None
    vgg19: WeightsRef | None = None
    vgg19_input: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not at hand, one line each, with what would bring it."""
        lines = []
        if self.squeezenet is None:
            lines.append("SqueezeNet's weights: the neutral columns stay empty")
        elif lpips_file() is None:
            lines.append("LPIPS's heads: lpips_content stays empty (pip install 'nst-batch[judges]')")
        if self.vgg19 is None:
            lines.append("VGG-19's weights: cfsd_content and e_statistic stay empty (--vgg19 FILE)")
        return tuple(lines)


def weights_in_cache() -> JudgeWeights:
    """Return the weights of the neutral judge if they lie in torch's cache; nothing is downloaded."""
    return JudgeWeights(_in_cache("squeezenet"))


def named_weights(squeezenet: str, vgg19: str, vgg19_input: str, store: Store) -> JudgeWeights:
    """Return the weights of the judges: files that are named, or else torchvision's in torch's cache.

    Torchvision's SqueezeNet (5 MB) is downloaded once if no file is named; its VGG-19 (548 MB) is not.

    Args:
        squeezenet: Path or URI of a file of SqueezeNet's weights; "" for torchvision's.
        vgg19: Path or URI of a file of VGG-19's weights; "" for torchvision's.
        vgg19_input: Input that VGG-19's weights expect; "" to tell it by the weights.
        store: The objects of the root, where digests are remembered.

    Raises:
        InputError: A file does not exist, or no judge is at hand.
        UserError: What lies in torch's cache is another file.
    """
    found = {}
    for name, file in (("squeezenet", squeezenet), ("vgg19", vgg19)):
        if file:
            config = BackboneConfig.model_validate({"name": name, "weights": file})
            found[name] = find_weights(config, BaseUri(locate(str(Path.cwd()))), Digests(store))
        elif ref := _downloaded() if name == "squeezenet" else _in_cache(name):
            if fault := cache_fault(name):
                raise UserError(fault, hint="delete the file, and it is downloaded again")
            found[name] = ref
    if not found:
        raise InputError(
            f"no judge is at hand: SqueezeNet's weights are not in {cached_weights('squeezenet').parent} and cannot be "
            "downloaded",
            hint="name a file of them with --squeezenet",
        )
    return JudgeWeights(found.get("squeezenet"), found.get("vgg19"), vgg19_input)


def _downloaded() -> WeightsRef | None:
    with contextlib.suppress(UserError, StorageError):
        fetch_weights("squeezenet")
    return _in_cache("squeezenet")


def build_judge(weights: JudgeWeights, device: str) -> tuple[Judge, JudgeIdentity]:
    """Return a judge of the networks whose weights are at hand, and its identity.

    Raises:
        InputError: A file is not the planned one, or holds another network.
    """
    judges: list[NeutralJudge | VggJudge] = []
    heads_digest = vgg19_digest = ""
    if weights.squeezenet:
        heads = None
        if file := lpips_file():
            heads_digest = f"sha256-{hashlib.sha256(file.read_bytes()).hexdigest()}"
            heads = _on(device, lpips_heads(torch.load(file, map_location="cpu", weights_only=True)))
        squeezenet, _ = _backbone("squeezenet", weights.squeezenet, "", STRUCTURE, device)
        judges.append(NeutralJudge(squeezenet, heads))
    if weights.vgg19:
        vgg19, inputs = _backbone("vgg19", weights.vgg19, weights.vgg19_input, tuple(DIRECTIONS), device)
        judges.append(VggJudge(vgg19, _references(device), structure=inputs == "torchvision"))
        vgg19_digest = f"{inputs} {weights.vgg19.digest}"
    return Judge(judges, device), JudgeIdentity(
        weights.squeezenet.digest if weights.squeezenet else "", heads_digest, vgg19_digest
    )


def lpips_file() -> Path | None:
    """Return the file of LPIPS's linear heads for SqueezeNet in the package `lpips`, None without the package.

    The package itself is not imported, which would take seconds.
    """
    spec = find_spec("lpips")
    file = Path(spec.origin).parent / "weights/v0.1/squeeze.pth" if spec and spec.origin else None
    return file if file and file.is_file() else None


def _in_cache(name: str) -> WeightsRef | None:
    if not cached_weights(name).is_file():
        return None
    return WeightsRef("torchvision", f"torchvision-{cached_weights(name).stem}")


def _backbone(name: str, ref: WeightsRef, inputs: str, layers: tuple[str, ...], device: str) -> tuple[Backbone, str]:
    """Return a network that judges, and the input that its weights expect.

    Args:
        name: The architecture, a key of `_KNOWN`.
        ref: The weights.
        inputs: The input that they expect; "" to tell it by the weights.
        layers: The layers to return.
        device: A torch device.

    Raises:
        InputError: They are not the weights that judgements are made with.
    """
    config = BackboneConfig.model_validate({"name": name, "weights": ref.uri})
    try:
        weights = load_weights(config, ref.uri, ref.digest)
        kind = _kind(name, weights)
        config = BackboneConfig.model_validate({"name": name, "weights": ref.uri, "input": inputs or kind})
        return build_backbone(config, layers, weights, device=device), config.input
    except InputError as error:
        raise InputError(f"{ref.uri} holds no {name} that can judge: {error.message}") from error


def _kind(name: str, weights: Mapping[str, Tensor]) -> str:
    """Return the input that known weights of a network expect.

    Raises:
        InputError: They are others.
    """
    first = float(weights.get("features.0.weight", torch.zeros(1)).double().square().mean().sqrt())
    for kind, known in _KNOWN[name].items():
        if math.isclose(first, known, rel_tol=_ROUNDING):
            return kind
    expected = " or ".join(f"{known:g} ({kind})" for kind, known in _KNOWN[name].items())
    raise InputError(f"the root mean square of its first layer is {first:.4g}, expected {expected}")


def _on(device: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _references(device: str) -> Iterator[Tensor]:
    for file in _REFERENCES:
        picture = resize(decode((resources.files("skimage.data") / file).read_bytes()), SIDE, "short")
        yield to_tensor(picture[None], torch.device(device), torch.float32)
