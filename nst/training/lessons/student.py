"""The lesson of `student`: a small VGG learns to move pictures where a full one moves them.

Shape letters: B pictures, N squares, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import nn

from nst.config.optimizer import LbfgsConfig
from nst.errors import InputError
from nst.losses.agreement import disagreement
from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.losses.objective import Losses, Objective, arithmetic, extract
from nst.losses.style import STYLE_LOSSES, batch_target
from nst.losses.terms import content_terms, style_terms
from nst.networks import Origin, load
from nst.networks.student import StudentNet
from nst.optimize.loop import build_optimizer
from nst.training.distillation import distil
from nst.training.lessons.lesson import Learner, Lesson, scaled_short
from nst.training.sampler import random_crop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.config.training import StudentTraining, Training
    from nst.training.lessons.lesson import Syllabus
    from nst.training.sampler import Batch, Sampler
    from nst.workspace import Workspace

GRAM: Final = STYLE_LOSSES["gram"]

DESCENT_STEPS: Final = 30
"""Number of evaluations of the loss in the descents that make validation pictures."""

DESCENT_STYLE: Final = 30.0
"""Weight of the style loss in these descents, in relative units, against 1 for the content loss."""

_MIXED: Final = 7
"""Number of this file's stream of random numbers, independent of the streams of `nst.training.sampler`."""

_BLEND: Final = 1.0
"""Largest share of another picture in a picture that is to be moved: a descent may end close to the style."""

_NOISE: Final = 0.09
"""Largest standard deviation of the noise in a picture that is to be moved, in units of the [0, 1] range."""


_BETWEEN: Final = 0.3
"""Weight of the features of convolutions that no style is compared at."""

_FLOOR: Final = 1e-20
"""Number added to energies: a flat picture has none."""

_UNKNOWN: Final = -1
"""In place of the number of a filter that is not known."""


class StudentLesson(Lesson):
    """Pictures somewhere between a photograph and what it is to become, and where two networks would move them.

    The first weights are computed in closed form (`nst.training.distillation`). Each step compares gradients at
    photographs that are blended with other pictures and with noise, as they are in the middle of a descent. Half of the
    styles are squares of the style images, the others are photographs. Validation pictures are short descents through
    the student, at whose ends the gradients are compared.

    Source:
        Our own. Errors of features do not predict the pictures that are made through a network; gradients are what
        makes them.
    """

    config: StudentTraining
    network: StudentNet

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        super().__init__(config, syllabus, workspace)
        config = self.config
        self.network = StudentNet.from_training(config, Origin())
        self.kept = Kept(config.filters_by_layer)
        layers = {*config.content_layers, *config.style_layers}
        if config.feature_weight:
            layers |= {rectified(layer) for layer in config.filters_by_layer}
        self.backbone = workspace.backbone(config.backbone, frozenset(layers), self.dtype)
        side = round(config.size * config.style_scale)
        self.styles = [scaled_short(style, side) for style in syllabus.styles]

    def begin(self, sampler: Sampler) -> None:
        """Compute the first weights in closed form.

        Raises:
            InputError: The squares do not tell as many filters apart as the network has.
        """
        config, teacher = self.config, self.backbone
        squares_N3HW = self.tensor(np.stack(self._squares(sampler)))
        with torch.no_grad(), arithmetic("float32", self.device):
            distilled = distil(
                config.backbone.name,
                teacher.tensors(),
                (squares_N3HW - teacher.mean) * teacher.scale,
                config.filters_by_layer,
                pooling=config.backbone.pooling,
                padding=config.backbone.padding,
            )
        for (layer, wanted), kept in zip(config.filters_by_layer.items(), distilled.kept.values(), strict=True):
            if (count := len(kept)) != wanted:
                found = f"these squares tell {count} filters of {layer} apart; filters has {wanted}"
                raise InputError(found, hint="write fewer filters, or give more photographs and crops")
        load(self.network, distilled.weights)
        self.kept.take(distilled.kept)

    def learners(self) -> dict[str, Learner]:
        """Return the network, and the filters that its own stand for, which checkpoints keep and nothing changes.

        Without `feature_weight` nothing asks for the filters, and checkpoints are those of earlier versions.
        """
        return super().learners() | ({"kept": Learner(self.kept, [])} if self.config.feature_weight else {})

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Disagreement]:
        """Return pictures that both networks are to move, and what compares the gradients, as `Lesson` says."""
        assert photographs_B3HW is not None
        if self.config.feature_weight:
            self.kept.require()
        student = self.backbone.carrying(dict(self.network.named_parameters()))
        if whole:
            (style,) = styles
            style_13HW = self.tensor(self.styles[style][None])
            pair = photographs_B3HW, style_13HW
            return self._descended(*pair), Disagreement(self.config, self.backbone, student, *pair, self.kept)
        drawn = [self._draw(photographs_B3HW, *each) for each in enumerate(zip(styles, seeds, strict=True))]
        moved_B3HW, styles_B3HW = (torch.stack(pictures) for pictures in zip(*drawn, strict=True))
        return moved_B3HW, Disagreement(self.config, self.backbone, student, photographs_B3HW, styles_B3HW, self.kept)

    def _draw(self, photographs_B3HW: Tensor, index: int, drawn: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return a picture that is to be moved, and the style that it is moved to."""
        style, seed = drawn
        random = np.random.default_rng([seed, _MIXED])

        def other(style: int) -> Tensor:
            if random.random() < 0.5:
                return photographs_B3HW[random.integers(len(photographs_B3HW))]
            return self.tensor(random_crop(self.styles[style], self.config.size, int(random.integers(2**31)))[None])[0]

        target_3HW, blended_3HW = other(style), other(int(random.integers(len(self.styles))))
        share, deviation = _BLEND * random.random(), _NOISE * random.random()
        noise_3HW = torch.from_numpy(random.standard_normal(blended_3HW.shape)).to(blended_3HW)
        mixed_3HW = torch.lerp(photographs_B3HW[index], blended_3HW, share) + deviation * noise_3HW
        return mixed_3HW.clamp(0.0, 1.0), target_3HW

    def _squares(self, sampler: Sampler) -> list[np.ndarray]:
        """Return the squares that the first weights are fitted to; every fourth is cut from a style image."""
        squares: list[np.ndarray] = []
        step = 0
        while len(squares) < self.config.crops:
            squares += self._squares_of(sampler.batch(step), len(squares))
            step += 1
        return squares[: self.config.crops]

    def _squares_of(self, batch: Batch, before: int) -> list[np.ndarray]:
        assert batch.photographs is not None
        drawn = zip(batch.photographs, batch.styles, batch.seeds, strict=True)
        return [
            random_crop(self.styles[style], self.config.size, seed) if number % 4 == 3 else photograph
            for number, (photograph, style, seed) in enumerate(drawn, start=before)
        ]

    def _descended(self, photographs_B3HW: Tensor, style_13HW: Tensor) -> Tensor:
        """Return the photographs after a short descent through the student."""
        student = self.backbone.carrying({name: p.detach() for name, p in self.network.named_parameters()})
        weights = 1.0, DESCENT_STYLE
        objective = _objective(self.config, student, photographs_B3HW, style_13HW, weights)
        optimizer = build_optimizer(LbfgsConfig(), photographs_B3HW, (0.0, 1.0), steps=DESCENT_STEPS)
        with torch.enable_grad():
            for _ in range(DESCENT_STEPS):
                losses, gradient_B3HW = objective.with_gradient(optimizer.propose())
                optimizer.observe(losses.total, gradient_B3HW)
        return optimizer.result()


class Kept(nn.Module):
    """The filters of the full VGG that the filters of the small one stand for.

    Args:
        filters: Number of filters of each convolution of the small network.
    """

    def __init__(self, filters: Mapping[str, int]) -> None:
        super().__init__()
        for layer, count in filters.items():
            self.register_buffer(layer, torch.full((count,), _UNKNOWN))

    def require(self) -> None:
        """Make sure that the filters are known.

        Raises:
            InputError: They are not: the weights are a parent's, whose file does not say it.
        """
        if any((numbers == _UNKNOWN).any() for numbers in self.buffers()):
            found = "feature_weight compares filters with those they stand for, which the file of a parent does not say"
            raise InputError(found, hint="set feature_weight: 0, or train without a parent")

    def take(self, kept: Mapping[str, Sequence[int]]) -> None:
        """Note the filters of every convolution, by their numbers."""
        for layer, numbers in kept.items():
            self.get_buffer(layer).copy_(torch.tensor(numbers))


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """How far two networks disagree about where to move pictures, from photographs to styles.

    Attributes:
        config: Settings of the training.
        teacher: The full network.
        student: The network that learns; gradients flow into its weights.
        photographs: The content of each picture, RGB in [0, 1], shape (B, 3, H, W).
        styles: The style of each picture, likewise.
        kept: Which filters of the teacher the student's stand for.
    """

    config: StudentTraining
    teacher: Backbone
    student: Backbone
    photographs: Tensor
    styles: Tensor
    kept: Kept

    def __call__(self, pictures_B3HW: Tensor) -> Losses:
        """Return the weighted disagreement about the content and about the style of every picture.

        That of the features counts as content.
        """
        config, learns = self.config, torch.is_grad_enabled()
        parts = {part: torch.zeros_like(pictures_B3HW[:, 0, 0, 0]) for part in ("content", "style")}
        weights = {"content": config.content_weight, "style": config.style_weight}
        if any(weights.values()):
            with torch.enable_grad():
                ours = self._gradients(self.student, pictures_B3HW, learns=learns)
                theirs = self._gradients(self.teacher, pictures_B3HW, learns=False)
            for part, weight in weights.items():
                parts[part] = weight * disagreement(ours[part], theirs[part], config.norm_weight)
        if config.feature_weight:
            parts["content"] = parts["content"] + config.feature_weight * self._features(pictures_B3HW)
        return Losses(parts["content"] + parts["style"], parts)

    def _features(self, pictures_B3HW: Tensor) -> Tensor:
        """Return the disagreement of the features of every picture, shape (B,).

        It is the sum over the convolutions of the squared error relative to the teacher's features, those at the style
        layers counted fully and the others by `_BETWEEN`, and of the relative distance of Gram matrices at the style
        layers, divided by the number of convolutions.
        """
        with torch.no_grad():
            theirs = extract(self.teacher, pictures_B3HW, self.config.precision)
        ours = extract(self.student, pictures_B3HW, self.config.precision)
        distances = []
        for layer, numbers in self.kept.named_buffers():
            name = rectified(layer)
            target_BCHW = theirs[name][:, numbers]
            energy_B = target_BCHW.square().sum((1, 2, 3)) + _FLOOR
            error_B = (ours[name] - target_BCHW).square().sum((1, 2, 3)) / energy_B
            distances.append((1.0 if name in self.config.style_layers else _BETWEEN) * error_B)
            if name in self.config.style_layers:
                target = gram_statistics(target_BCHW)
                distances.append(gram_distance(gram_statistics(ours[name]), target) / (gram_energy(target) + _FLOOR))
        return torch.stack(distances).sum(0) / len(self.config.filters)

    def _gradients(self, network: Backbone, pictures_B3HW: Tensor, *, learns: bool) -> dict[str, Tensor]:
        """Return the gradients of the content loss and of the style loss with respect to the pictures."""
        moved_B3HW = pictures_B3HW.detach().requires_grad_()
        losses = _objective(self.config, network, self.photographs, self.styles, (1.0, 1.0))(moved_B3HW)
        return {
            part: torch.autograd.grad(loss_B.sum(), moved_B3HW, create_graph=learns, retain_graph=True)[0]
            for part, loss_B in losses.parts.items()
        }


def rectified(convolution: str) -> str:
    """Return the layer of a convolution's rectified values.

    Example:
        >>> rectified("conv3_1")
        'relu3_1'
    """
    return "relu" + convolution.removeprefix("conv")


def _objective(
    config: StudentTraining,
    network: Backbone,
    photographs_B3HW: Tensor,
    styles_B3HW: Tensor,
    weights: tuple[float, float],
) -> Objective:
    """Return the content loss and the style loss as a network measures them, in relative units with these weights."""
    content_B, style_B = (
        weight * torch.ones_like(photographs_B3HW[:, 0, 0, 0], dtype=torch.float64) for weight in weights
    )
    photographs = extract(network.cut(config.content_layers), photographs_B3HW, config.precision)
    styles = extract(network.cut(config.style_layers), styles_B3HW, config.precision)
    targets = {layer: batch_target(GRAM, GRAM.statistics(styles[layer])) for layer in config.style_layers}
    terms = [
        *content_terms(photographs, config.content_layers, content_B),
        *style_terms(GRAM, targets, config.style_layers, style_B),
    ]
    return Objective(network, terms, config.precision)
