"""Style transfer by nearest neighbours of hypercolumns (Kolkin et al. 2022), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, D channels of a hypercolumn, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config.nnst import NnstConfig
from nst.images import resize_to, target_size
from nst.losses.neighbours import Hypercolumns, NeighbourTarget
from nst.losses.objective import Objective, Term, extract
from nst.methods.descent import Descent, configs_of, each_that_can
from nst.methods.start import missing_image, plan_levels, style_size, too_thin
from nst.methods.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.workspace import Pixels, Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one stylized image or error per request.

    The picture x, the content p at first, minimises from coarse to fine

        mean over places of 1 - cos(F(x), N(a F(p) + (1 - a) F(x))) + tv_weight L_tv(x)

    with F the hypercolumns, N the nearest hypercolumn of the style and its turned copies, by the cosine of centred
    features, and a the `content_share`. There is no content loss.

    A style mixed from several images offers the hypercolumns of all of them; their weights make no difference.

    Source:
        Kolkin et al. 2022, "Neural Neighbor Style Transfer", section 3 (the optimised variant);
        nkolkin13/NeuralNeighborStyleTransfer@290976a for the defaults. Differs: neighbours are looked up at every step
        instead of once per scale; the picture itself is optimised instead of a Laplacian pyramid; no last pass layer by
        layer ("feature splitting") and no colour matching.
    """
    return each_that_can(requests, refusal, lambda able: _descent(able, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, NnstConfig)
    config = configs[0]
    targets = Targets(requests, workspace, config.style_layers)
    backbone = Hypercolumns(targets.backbone, config.style_layers)

    def columns(array: np.ndarray) -> Tensor:
        with torch.no_grad():
            return extract(backbone, targets.tensor(array), config.precision)["hypercolumns"]

    def objective(width: int, height: int) -> Objective:
        styles = {style.digest: style for one in requests for style in one.styles}
        side = max(width, height) * config.style_scale
        known = {
            digest: [columns(copy) for copy in style_copies(style, side, config)] for digest, style in styles.items()
        }
        maps = tuple(tuple(found for style in one.styles for found in known[style.digest]) for one in requests)
        share_B = targets.vector([one.content_share for one in configs])
        target = NeighbourTarget(maps, columns(resize_to(targets.content.array, width, height)), share_B)
        style = {"hypercolumns": Term(target, 1.0, torch.ones_like(share_B))}
        tv_weight_B = targets.vector([one.tv_weight for one in configs])
        return Objective(backbone, {}, style, "squared", tv_weight_B, config.precision)

    start = [(targets.content, 0.0, 0)] * len(requests)
    return Descent(targets, _size(requests[0]), start, objective)


def style_copies(style: Pixels, long_side: float, config: NnstConfig) -> list[np.ndarray]:
    """Return the style and its copies turned by right angles, HWC uint8."""
    array = resize_to(style.array, *style_size(style, long_side))
    return [np.rot90(array, turn) for turn in range(config.turns + 1)]


def refusal(request: Request) -> NstError | None:
    """Return why a request cannot run at all, or None: a picture is missing, or too thin for the backbone."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, NnstConfig)
    width, height, _ = plan_levels(config, *_size(request))[0]
    error = too_thin("content", (width, height), config.style_layers, config.backbone)
    for style in request.styles:
        size = style_size(style, max(width, height) * config.style_scale)
        error = error or too_thin("style", size, config.style_layers, config.backbone)
    return error


def _size(request: Request) -> tuple[int, int]:
    config, content = request.config, request.content
    assert isinstance(config, NnstConfig)
    assert content is not None
    rows, columns = content.array.shape[:2]
    return target_size(columns, rows, config.size, config.resize)
