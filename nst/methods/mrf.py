"""Style transfer and synthesis by neural patches (Li & Wand 2016), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nst.config.mrf import MrfConfig
from nst.losses.terms import patch_terms, tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.finish import finishing
from nst.methods.guided import patch_guides, unmatched
from nst.methods.start import GREY, missing_image, plan_levels
from nst.methods.targets import Targets
from nst.pictures.fitting import too_thin
from nst.pictures.images import resize_to, rotate, style_size
from nst.pictures.masks import Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.losses.objective import Objective, Term
    from nst.losses.patches import PatchGuides
    from nst.methods.descent import OnStep
    from nst.methods.targets import Size
    from nst.pictures.images import Pixels
    from nst.workspace import Request, Stylized, Workspace


MASK_WEIGHT: Final = 10.0
"""Weight of the correlation of masks against that of features (10 in Champandard 2016's code alexjc/neural-doodle).
Correlations of rectified features lie in 0..1, and one position out of nine in another region costs 1.1 of the sum:
a patch of 3 x 3 positions within one region is matched within that region alone."""


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one picture or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_patches(x, a) + tv_weight L_tv(x)
        + photorealism_weight L_photorealism(x, p)

    with p the content image (a synthesis has none) and a the style with its turned and scaled copies. L_patches is the
    mean squared distance of each patch of the features of x to the patch of the features of a that correlates best with
    it; patches are matched anew at every step.

    A style mixed from several images offers the patches of all its images; their weights make no difference.

    Where the images have masks, patches are matched together with the masks over them, as in Champandard 2016: a patch
    within a region finds patches of the same region of the style, and a patch on a border finds those on a border of
    the same regions that runs in the same way; where the style has none, those of the region that covers most of the
    patch. `doodle` does so without a content image.

    Source:
        Li & Wand 2016, "Combining Markov random fields and convolutional neural networks for image synthesis", eq. 1
        to 4; chuanli11/CNNMRF for the defaults. Differs: relative units, values held in [0, 1].

    Example:
        >>> config = MrfConfig(**tiny, **shallow, pyramid={"levels": 1})
        >>> stylize_batch([Request("cell", content, (style,), (1.0,), "targets", config)], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, MrfConfig)
    config = configs[0]
    transfer = config.what == "transfer"
    layers = [*config.style_layers, *(config.content_layers if transfer else ())]
    targets = Targets(requests, workspace, layers)

    def objective(width: int, height: int) -> Objective:
        size, content_weights = (width, height), [config.content_weight for config in configs]
        photorealism_weights = [config.photorealism_weight for config in configs]
        return targets.objective(
            *(targets.content_terms(config.content_layers, size, content_weights) if transfer else ()),
            *_style_terms(targets, configs, size),
            tv_term(targets.vector([config.tv_weight for config in configs])),
            *(targets.photorealism_terms(size, photorealism_weights) if transfer else ()),
            *targets.temporal_terms([config.temporal_weight for config in configs]),
        )

    from_content = transfer and config.init == "content"
    given = targets.content if from_content else None
    start = [
        (begun, 0.0, 0) if (begun := request.start or given) else (GREY, 1.0, own.seed)
        for request, own in zip(requests, configs, strict=True)
    ]
    return Descent(targets, config.optimizer, start, objective, finishing(targets, config.color, config.guided_filter))


def _style_terms(targets: Targets, configs: Sequence[MrfConfig], size: Size) -> list[Term]:
    """Return a term of the patch loss for every layer; its patches are matched with their masks if there are any."""
    config = configs[0]
    layers, long_side = tuple(config.style_layers), max(size) * config.style_scale
    colors_of = size if config.color == "histogram" and config.what == "transfer" else None

    def draw(style: Pixels, style_size: Size) -> np.ndarray:
        return targets.style_picture(style, style_size, colors_of)

    features: dict[tuple[str, float], list[dict[str, Tensor]]] = {}
    for style in (style for request in targets.requests for style in request.styles):
        if style.key not in features:
            copies = style_copies(style, long_side, config, draw)
            features[style.key] = [targets.features(copy, layers) for copy in copies]
    maps = {
        layer: tuple(
            tuple(by_layer[layer] for style in request.styles for by_layer in features[style.key])
            for request in targets.requests
        )
        for layer in layers
    }
    weights_B = targets.vector([config.style_weight for config in configs])
    return patch_terms(
        maps,
        config.style_layers,
        weights_B,
        size=config.patch_size,
        stride=config.stride,
        guides=_guides(targets, maps, size, config),
    )


def _guides(
    targets: Targets, maps: Mapping[str, Sequence[Sequence[Tensor]]], size: Size, config: MrfConfig
) -> dict[str, PatchGuides] | None:
    """Return the masks over all patches by layer; None where every image is a single region."""
    requests = targets.requests
    labels = [requests[0].content_mask, *(mask for request in requests for mask in request.style_masks)]
    if all(mask is None or len(mask.colors) == 1 for mask in labels):
        return None
    long_side = max(size) * config.style_scale
    masks = [
        [
            (number, mask if not angle else turned(mask, style_size(style, long_side * scale), angle))
            for number, (style, mask) in enumerate(zip(request.styles, request.style_masks, strict=True))
            for angle, scale in config.copies
        ]
        for request in requests
    ]
    return patch_guides(targets, maps, masks, size, MASK_WEIGHT)


def style_copies(
    style: Pixels, long_side: float, config: MrfConfig, draw: Callable[[Pixels, Size], np.ndarray] | None = None
) -> list[np.ndarray]:
    """Return the copies of a style image at every scale and angle, HWC uint8, without the corners that turning empties.

    Args:
        style: The style image.
        long_side: Long side in pixels of the copies at scale 1.
        config: Settings that name the scales and angles.
        draw: Returns the style image at a width and height; by default in its own colours.
    """
    draw = draw or (lambda style, size: resize_to(style.array, *size))
    return [rotate(draw(style, style_size(style, long_side * scale)), angle) for angle, scale in config.copies]


def turned(labels: Labels, size: Size, degrees: float) -> Labels:
    """Return a mask turned and cut as `nst.pictures.images.rotate` turns and cuts the image that it lies over.

    Args:
        labels: The mask.
        size: Width and height of the image in pixels before it is turned.
        degrees: Turn counter-clockwise.
    """
    rows, columns = (
        ((np.arange(count) + 0.5) * extent / count).astype(int)
        for count, extent in zip(size[::-1], labels.index.shape, strict=True)
    )
    index_HW = labels.index[rows[:, None], columns]
    regions = [rotate((index_HW == region).astype(np.uint8) * 255, degrees) for region in range(len(labels.colors))]
    return Labels(f"{labels.digest} {size} {degrees}", labels.colors, np.stack(regions).argmax(0).astype(np.uint8))


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose image is missing or too small for one patch, or None."""
    if error := missing_image(request) or unmatched(request):
        return error
    config = request.config
    assert isinstance(config, MrfConfig)
    width, height, _ = plan_levels(request)[0]
    layers = config.style_layers | (config.content_layers if config.what == "transfer" else {})
    word = "content" if config.what == "transfer" else "new"
    error = too_thin(word, (width, height), layers, config.backbone, patch=config.least_positions)
    for style in request.styles:
        for copy in style_copies(style, max(width, height) * config.style_scale, config):
            size = (copy.shape[1], copy.shape[0])
            error = error or too_thin("style", size, config.style_layers, config.backbone, patch=config.least_positions)
    return error
