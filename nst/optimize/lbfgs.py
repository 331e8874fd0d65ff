"""Batched L-BFGS with a history, a step length and a verdict for each image, and without waiting for the device.

The caller asks for trial points (`propose`), evaluates the loss and the gradient of every image there, and reports them
(`observe`). Knows no picture and no loss.

The step rule takes one evaluation a step and treats every image by itself:

1. The direction is d = -H g with H the L-BFGS matrix of the last `history` pairs; without any pair it is -g, scaled to
   a root-mean-square length of `first_move`.
2. The trial point is x + d, shortened to a root-mean-square move of at most the radius r and then clamped to the
   bounds. r begins at `max_move`.
3. The trial point is accepted if its loss and gradient are finite and the loss falls by at least 1e-4 of what the slope
   promises. Otherwise the image stays where it is.
4. After a refusal r becomes half the move. After an accepted step r doubles if the loss fell by more than 0.4 of the
   promise and the move took more than half of r; it halves if the loss fell by less than 0.1 of the promise.
5. Whether accepted or not, every finite evaluation adds its pair (s, y) to the history if its curvature is positive.
6. After eight refusals in a row the history is dropped, and the search starts again from the gradient.

The loss of the accepted points never rises (beyond rounding errors), so that the search cannot diverge.

Shape letters: B images, N values of a picture, K pairs of the history.
"""

from __future__ import annotations

import torch
from torch import Tensor


class BatchLBFGS:
    """Minimises one loss for each row of a matrix.

    Args:
        start_BN: The starting points.
        history: Number of pairs remembered for each row.
        max_move: Largest root-mean-square move of a row in one step.
        first_move: Root-mean-square move of the first step.
        bounds: Lower and upper bound of every value; None for no bounds.

    Source:
        Liu & Nocedal 1989; Byrd, Nocedal & Schnabel 1994, eq. 3.1, for the compact form of H, which needs two passes
        over the history where the two-loop recursion needs 4 K kernels in sequence. Differs: the step rule of this
        module instead of a line search, since a batch cannot wait for its slowest row.
    """

    def __init__(
        self,
        start_BN: Tensor,
        *,
        history: int = 20,
        max_move: float = 0.1,
        first_move: float = 0.03,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        rows, size = start_BN.shape
        new = start_BN.new_zeros
        self.bounds, self.history, self.max_move, self.first_move = bounds, history, max_move, first_move
        self.point_BN = start_BN.clone()
        self.trial_BN = self.point_BN
        self.gradient_BN = new((rows, size))
        self.direction_BN = new((rows, size))
        self.loss_B = new(rows).fill_(torch.inf)
        self.radius_B = new(rows) + max_move
        self.refusals_B = new(rows)
        self.started_B = new(rows, dtype=torch.bool)
        self.scale_B = new(rows) + 1.0
        self.moves_BKN = new((rows, history, size))
        self.changes_BKN = new((rows, history, size))
        # Products of the pairs in the history, in float64, since the small systems may be ill-conditioned.
        self.sy_BKK = new((rows, history, history), dtype=torch.float64)
        self.yy_BKK = new((rows, history, history), dtype=torch.float64)
        self.born_BK = new((rows, history), dtype=torch.int64) - 1
        self.pairs_B = new(rows, dtype=torch.int64)
        self.rows_B = torch.arange(rows, device=start_BN.device)

    def propose(self) -> Tensor:
        """Return the trial points to evaluate next, shape (B, N); at first these are the starting points."""
        share_B = (self.radius_B / _rms(self.direction_BN).clamp_min(1e-30)).clamp_max(1.0)
        trial_BN = self.point_BN + self.direction_BN * share_B[:, None]
        self.trial_BN = trial_BN if self.bounds is None else trial_BN.clamp(*self.bounds)
        return self.trial_BN

    def observe(self, loss_B: Tensor, gradient_BN: Tensor) -> None:
        """Take the losses and gradients at the trial points that `propose` returned last."""
        finite_B = loss_B.isfinite() & gradient_BN.isfinite().all(1)
        # Dividing out the units of the loss keeps products of gradients from overflowing or vanishing.
        self.scale_B = torch.where(self.started_B, self.scale_B, gradient_scale(gradient_BN))
        loss_B = loss_B * self.scale_B
        gradient_BN = torch.where(finite_B[:, None], gradient_BN * self.scale_B[:, None], 0.0)
        move_BN = self.trial_BN - self.point_BN
        slope_B = (self.gradient_BN * move_BN).sum(1).clamp_max(0.0)
        promise_B = slope_B.clamp_max(-1e-30)
        share_B = torch.where(self.started_B, (loss_B - self.loss_B) / promise_B, 1.0)
        # A rise by a few rounding errors of the loss is accepted.
        slack_B = 4.0 * torch.finfo(loss_B.dtype).eps * loss_B.abs()
        accepted_B = finite_B & (~self.started_B | (loss_B <= self.loss_B + 1e-4 * slope_B + slack_B))
        self._learn(move_BN, gradient_BN - self.gradient_BN, finite_B & self.started_B)

        self.point_BN = torch.where(accepted_B[:, None], self.trial_BN, self.point_BN)
        self.gradient_BN = torch.where(accepted_B[:, None], gradient_BN, self.gradient_BN)
        self.loss_B = torch.where(accepted_B, loss_B, self.loss_B)
        self._set_radius(_rms(move_BN), share_B, accepted_B)
        self.started_B = self.started_B | accepted_B
        self.refusals_B = torch.where(accepted_B, 0.0, self.refusals_B + 1.0)
        self._forget(self.refusals_B >= 8)
        self._set_direction()

    def _set_radius(self, move_B: Tensor, share_B: Tensor, accepted_B: Tensor) -> None:
        """Set the radius by the share of the promised fall of the loss that came true."""
        well_B = (share_B > 0.4) & (move_B > 0.5 * self.radius_B)
        factor_B = torch.where(well_B, 2.0, torch.where(share_B < 0.1, 0.5, 1.0)).to(move_B)
        radius_B = torch.where(accepted_B, self.radius_B * factor_B, 0.5 * move_B)
        self.radius_B = torch.where(self.started_B, radius_B.clamp(1e-12, self.max_move), self.radius_B)

    def _learn(self, move_BN: Tensor, change_BN: Tensor, usable_B: Tensor) -> None:
        """Write the pair of each row into the oldest slot of the row's history if its curvature is positive."""
        if self.bounds is not None:
            change_BN = torch.where(self._stuck(self.trial_BN, self.gradient_BN), 0.0, change_BN)
        curvature_B = (move_BN * change_BN).sum(1)
        lengths_B = move_BN.square().sum(1).sqrt() * change_BN.square().sum(1).sqrt()
        keep_B = usable_B & (curvature_B > 1e-6 * lengths_B)
        slot_B = self.pairs_B % self.history
        rows_B = self.rows_B
        keep_B1 = keep_B[:, None]
        self.moves_BKN[rows_B, slot_B] = torch.where(keep_B1, move_BN, self.moves_BKN[rows_B, slot_B])
        self.changes_BKN[rows_B, slot_B] = torch.where(keep_B1, change_BN, self.changes_BKN[rows_B, slot_B])
        self.born_BK[rows_B, slot_B] = torch.where(keep_B, self.pairs_B, self.born_BK[rows_B, slot_B])
        self.pairs_B = self.pairs_B + keep_B
        # The products with the pair in the slot; where nothing was written, recomputing them changes nothing.
        move_BN, change_BN = self.moves_BKN[rows_B, slot_B], self.changes_BKN[rows_B, slot_B]
        self.sy_BKK[rows_B, :, slot_B] = (self.moves_BKN @ change_BN[:, :, None])[..., 0].double()
        self.sy_BKK[rows_B, slot_B, :] = (self.changes_BKN @ move_BN[:, :, None])[..., 0].double()
        products_BK = (self.changes_BKN @ change_BN[:, :, None])[..., 0].double()
        self.yy_BKK[rows_B, :, slot_B] = products_BK
        self.yy_BKK[rows_B, slot_B, :] = products_BK

    def _forget(self, rows_B: Tensor) -> None:
        """Empty the history of the rows where `rows_B` is true."""
        self.born_BK = torch.where(rows_B[:, None], -1, self.born_BK)
        self.refusals_B = torch.where(rows_B, 0.0, self.refusals_B)

    def _set_direction(self) -> None:
        """Set the direction by the gradient at the current point."""
        gradient_BN = self.gradient_BN
        if self.bounds is not None:
            stuck_BN = self._stuck(self.point_BN, gradient_BN)
            gradient_BN = torch.where(stuck_BN, 0.0, gradient_BN)
        known_BK = self.born_BK >= 0
        order_BK = self.born_BK.argsort(1)
        direction_BN = -self._inverse_hessian(gradient_BN, known_BK, order_BK)
        if self.bounds is not None:
            direction_BN = torch.where(stuck_BN, 0.0, direction_BN)
        slope_B = (direction_BN * gradient_BN).sum(1)
        good_B = known_BK.any(1) & slope_B.isfinite() & (slope_B < 0.0)
        steepest_BN = -gradient_BN * (self.first_move / _rms(gradient_BN).clamp_min(1e-30))[:, None]
        self.direction_BN = torch.where(good_B[:, None], direction_BN, steepest_BN)

    def _inverse_hessian(self, gradient_BN: Tensor, known_BK: Tensor, order_BK: Tensor) -> Tensor:
        """Return H g by the compact form; rows without pairs hold meaningless values, which the caller masks."""
        p_BK = (self.moves_BKN @ gradient_BN[:, :, None])[..., 0].double()
        q_BK = (self.changes_BKN @ gradient_BN[:, :, None])[..., 0].double()
        known_BK = known_BK.gather(1, order_BK)
        p_BK = p_BK.gather(1, order_BK) * known_BK
        q_BK = q_BK.gather(1, order_BK) * known_BK
        pairs_BKK = known_BK[:, :, None] & known_BK[:, None, :]
        sy_BKK = torch.where(pairs_BKK, _reorder(self.sy_BKK, order_BK), 0.0)
        yy_BKK = torch.where(pairs_BKK, _reorder(self.yy_BKK, order_BK), 0.0)
        diagonal_BK = sy_BKK.diagonal(dim1=1, dim2=2)
        upper_BKK = sy_BKK.triu() + torch.diag_embed((~known_BK).to(sy_BKK))
        gamma_B1 = diagonal_BK[:, -1:] / yy_BKK[:, -1:, -1]
        u_BK1 = torch.linalg.solve_triangular(upper_BKK, p_BK[:, :, None], upper=True)
        right_BK1 = diagonal_BK[:, :, None] * u_BK1 + gamma_B1[:, :, None] * (yy_BKK @ u_BK1 - q_BK[:, :, None])
        a_BK1 = torch.linalg.solve_triangular(upper_BKK.transpose(1, 2), right_BK1, upper=False)
        zeros_BK = torch.zeros_like(p_BK)
        for_moves_BK = zeros_BK.scatter(1, order_BK, a_BK1[..., 0]).to(gradient_BN)
        for_changes_BK = zeros_BK.scatter(1, order_BK, gamma_B1 * u_BK1[..., 0]).to(gradient_BN)
        return (
            gamma_B1.to(gradient_BN) * gradient_BN
            + (for_moves_BK[:, None] @ self.moves_BKN)[:, 0]
            - (for_changes_BK[:, None] @ self.changes_BKN)[:, 0]
        )

    def _stuck(self, point_BN: Tensor, gradient_BN: Tensor) -> Tensor:
        """Return for each value whether it lies on a bound that the downhill direction would cross."""
        assert self.bounds is not None, "only with bounds"
        lower, upper = self.bounds
        return ((point_BN <= lower) & (gradient_BN > 0.0)) | ((point_BN >= upper) & (gradient_BN < 0.0))


def gradient_scale(gradient_BN: Tensor) -> Tensor:
    """Return 1 divided by the root-mean-square gradient of each row, shape (B,); 1 where that is zero or not finite."""
    largest_B = gradient_BN.abs().amax(1)
    rms_B = largest_B * (gradient_BN / largest_B.clamp_min(1e-30)[:, None]).square().mean(1).sqrt()
    return torch.where(rms_B.isfinite() & (rms_B > 1e-30), 1.0 / rms_B, 1.0)


def _rms(rows_BN: Tensor) -> Tensor:
    """Return the root mean square of each row, shape (B,)."""
    return rows_BN.square().mean(1).sqrt()


def _reorder(matrix_BKK: Tensor, order_BK: Tensor) -> Tensor:
    """Return the matrices with rows and columns in the given order."""
    rows_BKK = matrix_BKK.gather(1, order_BK[:, :, None].expand_as(matrix_BKK))
    return rows_BKK.gather(2, order_BK[:, None, :].expand_as(matrix_BKK))
