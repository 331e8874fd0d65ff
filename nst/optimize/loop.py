"""The loop of an optimisation: proposes pictures, measures them and records losses. Knows no method and no file.

The recorded losses stay on the device until `Trace.read`; during the steps nothing waits for the device, except that
an early stop looks now and then whether every picture has stopped (`nst.optimize.standstill`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from nst.config.optimizer import AdamConfig
from nst.ops import resize
from nst.optimize.lbfgs import BatchLBFGS, gradient_scale
from nst.optimize.standstill import Standstill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.config.optimizer import EarlyStopConfig, LbfgsConfig, OptimizerConfig
    from nst.losses.objective import Losses
    from nst.optimize.trace import Trace


class Optimizer(Protocol):
    """What the loop asks of an optimiser: `propose` pictures, `observe` their losses and gradients, give a `result`."""

    def propose(self) -> Tensor: ...  # noqa: D102
    def observe(self, loss_B: Tensor, gradient_BCHW: Tensor) -> None: ...  # noqa: D102
    def result(self) -> Tensor: ...  # noqa: D102


class Previews(Protocol):
    """What shows the pictures on their way (`nst.methods.previews`)."""

    def is_due(self, step: int) -> bool: ...  # noqa: D102
    def show(self, taken: Sequence[int], pictures_B3HW: Tensor) -> None: ...  # noqa: D102


class ImageLBFGS:
    """`BatchLBFGS` for pictures instead of rows.

    Args:
        start_BCHW: Pictures to start from.
        config: Settings of the optimiser.
        steps: Number of steps that it takes; a history that they cannot fill takes no memory.
        bounds: Lower and upper bound of every value; None for no bounds.
    """

    def __init__(
        self, start_BCHW: Tensor, config: LbfgsConfig, steps: int, bounds: tuple[float, float] | None = None
    ) -> None:
        self.shape = start_BCHW.shape
        start_BN, history = start_BCHW.flatten(1), config.pairs(steps)
        self.rows = BatchLBFGS(start_BN, history=history, max_move=config.max_move, bounds=bounds)

    def propose(self) -> Tensor:
        """Return the trial pictures."""
        return self.rows.propose().view(self.shape)

    def observe(self, loss_B: Tensor, gradient_BCHW: Tensor) -> None:
        """Take the losses and gradients of the trial pictures, shapes (B,) and (B, C, H, W)."""
        self.rows.observe(loss_B, gradient_BCHW.flatten(1))

    def result(self) -> Tensor:
        """Return the pictures with the smallest losses so far."""
        return self.rows.point_BN.view(self.shape)


class BatchAdam:
    """Adam on every value, clamped to the bounds after each step, with an optional average of the iterates.

    Args:
        start_BCHW: Pictures to start from.
        config: Settings of the optimiser.
        bounds: Lower and upper bound of every value; None for no bounds.

    Source:
        Kingma & Ba 2015; crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/style_transfer.py for clamping, the
        average of the iterates and carried moments. Differs: gradients are divided by the root mean square of the first
        gradient, so that `epsilon` means the same in all units; a picture whose loss or gradient is not finite does not
        change.
    """

    def __init__(self, start_BCHW: Tensor, config: AdamConfig, bounds: tuple[float, float] | None = None) -> None:
        self.config, self.bounds = config, bounds
        self.point = start_BCHW.clone()
        self.average = torch.zeros_like(start_BCHW)
        self.mean = torch.zeros_like(start_BCHW)
        self.square = torch.zeros_like(start_BCHW)
        self.scale_B111: Tensor | None = None
        self.steps = 0
        self.averaged = 0

    def propose(self) -> Tensor:
        """Return the current pictures."""
        return self.point

    def observe(self, loss_B: Tensor, gradient_BCHW: Tensor) -> None:
        """Take one step, given the losses and gradients of the current pictures, shapes (B,) and (B, C, H, W)."""
        config = self.config
        finite_B111 = (loss_B.isfinite() & gradient_BCHW.flatten(1).isfinite().all(1))[:, None, None, None]
        if self.scale_B111 is None:
            self.scale_B111 = gradient_scale(gradient_BCHW.flatten(1))[:, None, None, None]
        gradient_BCHW = torch.where(finite_B111, gradient_BCHW * self.scale_B111, 0.0)
        self.steps += 1
        self.mean = config.beta1 * self.mean + (1 - config.beta1) * gradient_BCHW
        self.square = config.beta2 * self.square + (1 - config.beta2) * gradient_BCHW.square()
        mean = self.mean / (1 - config.beta1**self.steps)
        root = (self.square / (1 - config.beta2**self.steps)).sqrt()
        point = self.point - config.learning_rate * mean / (root + config.epsilon)
        if self.bounds is not None:
            point = point.clamp(*self.bounds)
        self.point = torch.where(finite_B111, point, self.point)
        self.averaged += 1
        self.average = config.ema * self.average + (1 - config.ema) * self.point

    def result(self) -> Tensor:
        """Return the average of the iterates, corrected for its start at zero; the last iterate if `ema` is 0."""
        if not self.config.ema or not self.averaged:
            return self.point
        return self.average / (1 - self.config.ema**self.averaged)

    def carry_to(self, other: BatchAdam) -> None:
        """Give the moments, resized, to the optimiser of the next level."""
        height, width = other.point.shape[2:]
        other.steps, other.scale_B111 = self.steps, self.scale_B111
        other.mean = resize(self.mean, height, width)
        other.square = resize(self.square, height, width, mode="bilinear").clamp_min(0.0)


def build_optimizer(
    config: OptimizerConfig, start_BCHW: Tensor, bounds: tuple[float, float] | None, *, steps: int
) -> Optimizer:
    """Return the optimiser that the settings name, at its start.

    Args:
        config: Settings of the optimiser.
        start_BCHW: Pictures to start from.
        bounds: Lower and upper bound of every value; None for no bounds.
        steps: Number of steps that it takes.
    """
    if isinstance(config, AdamConfig):
        return BatchAdam(start_BCHW, config, bounds)
    return ImageLBFGS(start_BCHW, config, steps, bounds)


def optimize_images(
    optimizer: Optimizer,
    objective: Callable[[Tensor], tuple[Losses, Tensor]],
    *,
    steps: int,
    trace: Trace,
    level: int = 0,
    done: int = 0,
    trace_every: int = 10,
    early_stop: EarlyStopConfig | None = None,
    on_step: Callable[[int], None] | None = None,
    previews: Previews | None = None,
) -> Tensor:
    """Return the result of an optimiser after `steps` evaluations of the loss and its gradient.

    Args:
        optimizer: The optimiser at its start.
        objective: Returns the losses of pictures and their gradient, shape (B, C, H, W).
        steps: Number of evaluations.
        trace: Records the losses of every step that `trace_every` divides, of the first step and of the last, and how
            many steps each picture took.
        level: Level of the pyramid, for the trace.
        done: Number of steps of all levels before, for `on_step`.
        trace_every: Number of steps between two records; 0 for no records.
        early_stop: When a picture is left as it is; None to go on to the end.
        on_step: Called after every step with the number of steps done; the device may not have finished them.
        previews: Shown after the steps at which they are due. A picture that has stopped took fewer steps.
    """
    standstill = Standstill(early_stop) if early_stop else None
    for step in range(1, steps + 1):
        losses, gradient_BCHW = objective(optimizer.propose())
        optimizer.observe(losses.total, gradient_BCHW)
        if trace_every and (step % trace_every == 0 or step in {1, steps}):
            trace.add(step, level, losses)
        if standstill:
            standstill.observe(step, losses, optimizer.result())
        if on_step is not None:
            on_step(done + step)
        if previews is not None and previews.is_due(done + step):
            pictures_BCHW = standstill.pictures if standstill else optimizer.result()
            count = len(pictures_BCHW)
            here = standstill.ends().tolist() if standstill else [step] * count
            taken = [sum(steps) for steps in zip(trace.taken(count), here, strict=True)]
            previews.show(taken, pictures_BCHW)
        if standstill and standstill.is_complete():
            break
    if standstill is None:
        trace.end(level, steps)
        return optimizer.result()
    trace.end(level, standstill.ends(), standstill.last if trace_every else None)
    return standstill.pictures
