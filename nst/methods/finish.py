"""How a batch ends: colours, rounding to 8 bits, losses of what is saved, and the verdict on every picture.

Knows no optimiser. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.errors import NumericalError
from nst.ops import to_arrays, to_bytes
from nst.pictures.metrics import CONSTANT
from nst.records import CellLosses
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from nst.losses.objective import Losses, Objective, Term
    from nst.optimize.loop import Trace
    from nst.workspace import Request

SATURATED = 0.95
"""A picture with at least this share of its values at 0 or 1 is saturated, unless its start was so too."""


def finish(
    requests: Sequence[Request],
    pictures_B3HW: Tensor,
    start_B3HW: Tensor,
    *,
    touch: Callable[[Tensor], Tensor] | None,
    objective: Objective,
    trace: Trace,
    steps: int,
) -> list[Stylized]:
    """Return one result per request: the 8-bit picture with its losses, or a `NumericalError` for that cell alone.

    Args:
        requests: The batch.
        pictures_B3HW: The optimised pictures.
        start_B3HW: Where they started, at any size.
        touch: Last change of the pictures, such as their colours.
        objective: At the pictures' size.
        trace: Losses along the steps.
        steps: Evaluations of the loss.
    """
    saved_B3HW = pictures_B3HW.clamp(0.0, 1.0)
    if touch is not None:
        saved_B3HW = touch(saved_B3HW)
    bytes_B3HW = to_bytes(saved_B3HW)
    with torch.no_grad():
        losses = objective(bytes_B3HW.to(pictures_B3HW.dtype).div(255.0))
    traces = trace.read() or [()] * len(requests)
    cells = cell_losses(objective, losses)
    images = to_arrays(bytes_B3HW)
    reasons = verdicts(pictures_B3HW, start_B3HW, losses)
    return [
        Stylized(request.cell_id, None if reason else image, None if reason else of_one, rows, steps, reason)
        for request, image, of_one, rows, reason in zip(requests, images, cells, traces, reasons, strict=True)
    ]


def verdicts(pictures_B3HW: Tensor, start_B3HW: Tensor, losses: Losses) -> list[NumericalError | None]:
    """Return for each picture why it is no result, or None."""
    saturated_B = _saturation(pictures_B3HW)
    flat_B = pictures_B3HW.amax((1, 2, 3)) - pictures_B3HW.amin((1, 2, 3))
    finite_B = pictures_B3HW.isfinite().all(3).all(2).all(1)
    table = torch.stack(
        [losses.total, losses.content, losses.style, losses.tv, finite_B.to(flat_B), flat_B, saturated_B,
         _saturation(start_B3HW)]
    )  # fmt: skip
    reasons: list[NumericalError | None] = []
    for total, content, style, tv, finite, flat, saturated, before in table.double().T.tolist():
        reason = None
        if not finite or not abs(total) < float("inf"):
            parts = f"content {content:.3g}, style {style:.3g}, tv {tv:.3g}"
            reason = NumericalError(f"the loss is not finite: {parts}", hint="are the weights far too large?")
        elif flat < CONSTANT:
            reason = NumericalError("the picture is constant", hint="raise content_weight or lower tv_weight")
        elif saturated >= SATURATED > before:
            reason = NumericalError(
                f"the picture is saturated: {saturated:.0%} of its values are 0 or 1", hint="lower style_weight"
            )
        reasons.append(reason)
    return reasons


def cell_losses(objective: Objective, losses: Losses) -> list[CellLosses]:
    """Return each image's losses as its row records them; waits for the device once."""
    content_names, style_names = list(losses.content_layers), list(losses.style_layers)
    zero_B = torch.zeros_like(losses.total)
    table = torch.stack(
        [
            losses.total,
            losses.tv_relative,
            _mean_weight(objective.content, zero_B),
            _mean_weight(objective.style, zero_B),
            objective.tv_weight,
            zero_B if losses.laplacian is None else losses.laplacian,
            zero_B if objective.laplacian is None else objective.laplacian.weights,
            *losses.content_layers.values(),
            *losses.style_layers.values(),
        ]
    )
    cells = []
    for total, tv, content_weight, style_weight, tv_weight, edges, edges_weight, *layers in table.double().T.tolist():
        content = dict(zip(content_names, layers[: len(content_names)], strict=True))
        style = dict(zip(style_names, layers[len(content_names) :], strict=True))
        cells.append(
            CellLosses(
                loss=total,
                content_loss=_together(objective.content, content),
                style_loss=_together(objective.style, style),
                tv_loss=tv,
                content_layers=content,
                style_layers=style,
                content_weight_relative=content_weight if content else None,
                style_weight_relative=style_weight if style else None,
                tv_weight_relative=tv_weight,
                laplacian_loss=edges if edges_weight else None,
                laplacian_weight_relative=edges_weight or None,
            )
        )
    return cells


def _together(terms: Mapping[str, Term], losses: Mapping[str, float]) -> float | None:
    """Return the layers' losses as weighted, None if there are none."""
    return sum(terms[layer].share * loss for layer, loss in losses.items()) if terms else None


def _mean_weight(terms: Mapping[str, Term], zero_B: Tensor) -> Tensor:
    """Return the factor of the relative losses of all layers together, shape (B,)."""
    if not terms:
        return zero_B
    total = max(sum(term.share for term in terms.values()), 1e-30)
    return torch.stack([term.weights for term in terms.values()]).sum(0) / total


def _saturation(pictures_B3HW: Tensor) -> Tensor:
    return ((pictures_B3HW <= 0.0) | (pictures_B3HW >= 1.0)).to(pictures_B3HW.dtype).mean((1, 2, 3))
