"""The end of a batch: final edges and colours, rounding to 8 bits, losses of the saved pictures, and a verdict on each.

Knows no optimiser. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.terms import TERMS
from nst.errors import NumericalError
from nst.methods.start import picture_size
from nst.ops import to_arrays, to_bytes
from nst.pictures.color import FINISHES
from nst.pictures.guided_filter import guided_filter
from nst.pictures.images import resize_to
from nst.pictures.metrics import CONSTANT
from nst.records import CellLosses, TermLoss
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.config.photorealism import GuidedFilterConfig
    from nst.losses.objective import Losses, Objective, Term
    from nst.methods.targets import Targets
    from nst.optimize.trace import Trace
    from nst.workspace import Request

SATURATED = 0.95
"""A picture is saturated if at least this share of its values is 0 or 1, unless its starting picture was saturated."""


def finishing(
    targets: Targets, color: str, guided: GuidedFilterConfig | None = None
) -> Callable[[Tensor], Tensor] | None:
    """Return what finished pictures take from the content, its edges and then its colours, or None for nothing.

    Nothing is taken without a content image, and for values of `color` that say nothing of finished pictures.

    Args:
        targets: The targets of the batch.
        color: A value of `nst.config.fields.Color`; `histogram` matches the style images beforehand instead.
        guided: The filter that takes the edges, where the settings name one.
    """
    if targets.requests[0].content is None or (color not in FINISHES and guided is None):
        return None

    def take(pictures_B3HW: Tensor) -> Tensor:
        height, width = pictures_B3HW.shape[2:]  # a preview is smaller than the picture
        content_13HW = targets.tensor(resize_to(targets.content.array, width, height))
        if guided is not None:
            radius = max(1, round(guided.radius * width / picture_size(targets.requests[0])[0]))
            pictures_B3HW = guided_filter(pictures_B3HW, content_13HW, radius, guided.epsilon).clamp(0.0, 1.0)
        return FINISHES[color](pictures_B3HW, content_13HW) if color in FINISHES else pictures_B3HW

    return take


def finish(
    requests: Sequence[Request],
    pictures_B3HW: Tensor,
    start_B3HW: Tensor,
    *,
    retouch: Callable[[Tensor], Tensor] | None,
    objective: Objective,
    trace: Trace,
) -> list[Stylized]:
    """Return one result per request: the 8-bit picture with its losses, or a `NumericalError` for that cell alone.

    Args:
        requests: The batch.
        pictures_B3HW: The optimised pictures.
        start_B3HW: The starting pictures, of any size.
        retouch: Changes the pictures before they are saved (`finishing`); None for no change.
        objective: The objective of pictures of this size.
        trace: Losses along the steps, and the number of steps of each picture.
    """
    saved_B3HW = pictures_B3HW.clamp(0.0, 1.0)
    if retouch is not None:
        saved_B3HW = retouch(saved_B3HW)
    bytes_B3HW = to_bytes(saved_B3HW)
    with torch.no_grad():
        losses = objective(bytes_B3HW.to(pictures_B3HW.dtype).div(255.0))
    tile = objective.tile_of(pictures_B3HW)
    traces = trace.read() or [()] * len(requests)
    results = zip(
        requests,
        to_arrays(bytes_B3HW),
        cell_losses(objective, losses),
        traces,
        trace.taken(len(requests)),
        verdicts(pictures_B3HW, start_B3HW, losses),
        strict=True,
    )
    return [
        Stylized(request.cell_id, None if error else image, None if error else measured, rows, steps, error, tile=tile)
        for request, image, measured, rows, steps, error in results
    ]


def verdicts(pictures_B3HW: Tensor, start_B3HW: Tensor, losses: Losses) -> list[NumericalError | None]:
    """Return for each picture an error if it is not usable, or None.

    Args:
        pictures_B3HW: The optimised pictures.
        start_B3HW: The starting pictures, of any size.
        losses: Losses of the saved pictures.
    """
    saturated_B, before_B = _saturation(pictures_B3HW), _saturation(start_B3HW)
    flat_B = pictures_B3HW.amax((1, 2, 3)) - pictures_B3HW.amin((1, 2, 3))
    finite_B = pictures_B3HW.isfinite().all(3).all(2).all(1)
    columns = [finite_B.to(flat_B), flat_B, saturated_B, before_B, losses.total, *losses.parts.values()]
    errors: list[NumericalError | None] = []
    for finite, flat, saturated, before, total, *parts in torch.stack(columns).double().T.tolist():
        error = None
        if not finite or not abs(total) < float("inf"):
            shown = ", ".join(f"{name} {part:.3g}" for name, part in zip(losses.parts, parts, strict=True))
            error = NumericalError(f"the loss is not finite: {shown}", hint="are the weights far too large?")
        elif flat < CONSTANT:
            error = NumericalError("the picture is constant", hint="raise content_weight or lower tv_weight")
        elif saturated >= SATURATED > before:
            error = NumericalError(
                f"the picture is saturated: {saturated:.0%} of its values are 0 or 1", hint="lower style_weight"
            )
        errors.append(error)
    return errors


def cell_losses(objective: Objective, losses: Losses) -> list[CellLosses]:
    """Return the losses of each image as its row records them; waits for the device once.

    Args:
        objective: The objective that measured the pictures.
        losses: Its losses of the saved pictures.
    """
    named = {
        name: [(term, loss) for term, loss in zip(objective.terms, losses.relative, strict=True) if term.name == name]
        for name in TERMS
        if any(term.name == name for term in objective.terms)
    }
    weights = {name: _weight_of_all([term for term, _ in pairs]) for name, pairs in named.items()}
    columns = [losses.total, *weights.values(), *(loss for pairs in named.values() for _, loss in pairs)]
    cells = []
    for total, *values in torch.stack(columns).double().T.tolist():
        rest = iter(values)
        weight = {name: next(rest) for name in named}
        terms = {
            name: _term_loss([(term, next(rest)) for term, _ in pairs], weight[name]) for name, pairs in named.items()
        }
        kept = {name: term for name, term in terms.items() if term.weight_relative or not TERMS[name].only_weighted}
        cells.append(CellLosses(total, kept))
    return cells


def _term_loss(layers: Sequence[tuple[Term, float]], weight: float) -> TermLoss:
    """Return the loss that one cell has in a term, given the losses of the term's layers."""
    together = sum(term.share * loss for term, loss in layers)
    return TermLoss(together, weight, {term.layer: loss for term, loss in layers if term.layer})


def _weight_of_all(terms: Sequence[Term]) -> Tensor:
    """Return the weight of a term in relative units, without the weights of its layers, shape (B,)."""
    total = max(sum(term.share for term in terms), 1e-30)
    return torch.stack([term.weights for term in terms]).sum(0) / total


def _saturation(pictures_B3HW: Tensor) -> Tensor:
    return ((pictures_B3HW <= 0.0) | (pictures_B3HW >= 1.0)).to(pictures_B3HW.dtype).mean((1, 2, 3))
