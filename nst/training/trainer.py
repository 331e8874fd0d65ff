"""One training: its steps of Adam, its validation, its state and its weights. Knows no family by name and no file.

Shape letters: B pictures, H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import nn

from nst.config.terms import TRAINED
from nst.errors import InputError, UserError
from nst.losses.objective import arithmetic
from nst.networks import load, metadata_of
from nst.ops import dtype_of, to_arrays, to_bytes
from nst.records import TrainingRecord
from nst.training.health import Guard
from nst.training.lessons import LESSONS, Syllabus
from nst.training.sampler import Sampler
from nst.training.state import dump_state, inherit, restore_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from nst.config.training import Training
    from nst.networks import Network
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import NetworkFile, Workspace


@dataclass(frozen=True, eq=False)
class Validation:
    """What a network makes of the validation pictures."""

    images: list[np.ndarray]
    """The pictures that the network made, HWC uint8 RGB."""
    losses: dict[str, float]
    """`loss`, `content_loss`, `style_loss` and `tv_loss` after weighting, each the mean over the pictures; empty if
    there are no pictures."""
    measures: dict[str, float]
    """What the lesson alone measures: the means of `Lesson.measure` over the pictures, and `Lesson.sample`."""


class Trainer:
    """A network in training, with its optimiser and its place in the data.

    Args:
        config: Settings of the training.
        styles: The style images, as many as the family takes.
        workspace: Holds the device and the backbones.
        photographs: uint8 of shape (N, H, W, 3), at least `config.size` on both sides; None for a family that needs
            none.
        parent: A trained network of the same shape, with whose weights the training begins. A network that knows many
            styles gets rows for the styles that the parent does not know.
        masks: The masks of the style images, for families that need them.

    Attributes:
        learners: The modules that learn: the network and, where the lesson has one, its critic.
        style_digests: SHA-256 of all styles that the network knows, in the order of its rows.
        steps_done: Number of steps taken so far.

    Raises:
        UserError: Too few or too many styles, no photographs or masks, or a parent of another family or shape.
    """

    def __init__(
        self,
        config: Training,
        styles: Sequence[Pixels],
        workspace: Workspace,
        photographs: np.ndarray | None = None,
        parent: NetworkFile | None = None,
        *,
        masks: Sequence[Labels] = (),
    ) -> None:
        _refuse(config, styles, photographs, parent, masks)
        self.config, self.device = config, workspace.device
        self.styles = max(1, len(styles))  # a lesson without styles does not look at the style that is drawn
        self.masks = [mask.digest for mask in masks]
        old, tensors = inherit(parent, config)
        self._inherits = bool(tensors)
        self.style_digests = list(dict.fromkeys([*old, *(style.digest for style in styles)]))
        rows = [self.style_digests.index(style.digest) for style in styles]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            syllabus = Syllabus(styles, rows, len(self.style_digests), masks)
            self.lesson = LESSONS[config.family](config, syllabus, workspace)
        network = self.network
        if tensors:
            load(network, network.adopt(tensors))
        network.to(self.device, self._dtype)
        if self.device.type == "cuda":
            network.to(memory_format=torch.channels_last)
        if config.compile:
            network.compile()
        self.sampler = Sampler(
            photographs if config.photographs else None,
            size=config.size,
            batch_size=config.batch_size,
            styles=self.styles,
            seed=config.seed,
            views=config.views,
        )
        learners = self.lesson.learners()
        self.learners = nn.ModuleDict({name: learner.module for name, learner in learners.items()})
        groups = [{"params": list(learner.parameters), "rate": learner.rate} for learner in learners.values()]
        self.optimizer = torch.optim.Adam(groups, lr=config.learning_rate, betas=(config.BETA1, config.BETA2))
        self.guard = Guard(self.lesson.undecided)
        self.steps_done = 0

    @property
    def network(self) -> Network:
        """The network in training."""
        return self.lesson.network

    def step(self) -> TrainingRecord:
        """Take one step of Adam and return the losses before that step.

        Raises:
            Unhealthy: The training cannot go on. The weights are left as they were before the step.
        """
        config = self.config
        if not self.steps_done and not self._inherits:
            self.lesson.begin(self.sampler)
        batch = self.sampler.batch(self.steps_done)
        rate = learning_rate(config, self.steps_done)
        photographs_B3HW = None
        if batch.photographs is not None:
            photographs_B3HW = self.lesson.tensor(batch.photographs)
        self.network.train()
        with arithmetic(config.precision, self.device):
            outputs_B3HW, objective = self.lesson(photographs_B3HW, batch.styles, batch.seeds)
            losses = objective(outputs_B3HW)
            diversity = self.lesson.extra_loss(outputs_B3HW)
            temporal = self.lesson.temporal_loss(outputs_B3HW, photographs_B3HW, batch.styles, batch.seeds)
            total = losses.total.mean() + diversity + temporal
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
        parts = [total, *(losses.part(name).mean() for name in TRAINED), diversity, temporal]
        lightest_B, darkest_B = outputs_B3HW.amax((1, 2, 3)), outputs_B3HW.amin((1, 2, 3))
        seen = [lightest_B.max(), (lightest_B - darkest_B).max()]
        *values, lightest, spread = torch.stack([part.detach().double() for part in (*parts, *seen)]).tolist()
        names = ("loss", *(f"{name}_loss" for name in TRAINED), "diversity_loss", "temporal_loss")
        record = TrainingRecord(step=self.steps_done + 1, learning_rate=rate, **dict(zip(names, values, strict=True)))
        self.guard.check(record, lightest, spread, outputs_B3HW)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        self.optimizer.step()
        self.steps_done += 1
        return record

    def validate(self, pictures: Sequence[np.ndarray]) -> Validation:
        """Return what the network makes of pictures that it does not learn from, each at its own size.

        Args:
            pictures: HWC uint8: photographs, or pictures of masks for a family that paints masks. A network of mode
                `texture` makes this many new pictures of the training's size instead.
        """
        images, losses, measures, photographs = [], [], [], []
        self.network.eval()
        with torch.no_grad(), arithmetic(self.config.precision, self.device):
            for number, picture in enumerate(pictures):
                photograph_13HW = None
                if self.config.photographs or self.config.masks:
                    photograph_13HW = self.lesson.tensor(picture[None])
                photographs.append(photograph_13HW)
                output_13HW, objective = self.lesson(photograph_13HW, [number % self.styles], [number], whole=True)
                images.append(self.lesson.finish(to_arrays(to_bytes(output_13HW))[0], picture))
                measures.append(self.lesson.measure(images[-1], picture))
                measured = objective(output_13HW)
                losses.append(torch.cat([measured.total, *(measured.part(name) for name in TRAINED)]))
            sampled = self.lesson.sample(photographs)
        self.network.train()
        means = torch.stack(losses).double().mean(0).tolist() if losses else []
        names = ("loss", *(f"{name}_loss" for name in TRAINED))
        named = {name: fmean(row[name] for row in measures) for name in (measures[0] if measures else ())}
        return Validation(images, dict(zip(names, means, strict=False)), named | sampled)

    def state(self) -> dict[str, Tensor]:
        """Return everything that the training needs to be resumed, as tensors by name on the CPU."""
        return dump_state(self.learners, self.optimizer, self.guard, self.steps_done, self._fingerprint)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Resume the training from a state.

        With the same number of CPU threads the next steps are bit-identical to those of an uninterrupted run.

        Raises:
            InputError: The state belongs to other settings, styles or photographs, or is damaged.
        """
        self.steps_done = restore_state(state, self.learners, self.optimizer, self.guard, self._fingerprint)

    def weights(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return the tensors and metadata of a model's file, from which `network_from` builds the network again."""
        tensors = {}
        for key, tensor in self.network.state_dict().items():
            dtype = self.network.stored if tensor.is_floating_point() else tensor.dtype
            tensors[key] = tensor.detach().to("cpu", dtype, copy=True).contiguous()
        return tensors, metadata_of(self.config, self.style_digests, self.steps_done, self.network.colors)

    @property
    def _dtype(self) -> torch.dtype:
        return dtype_of(self.config.precision)

    @property
    def _fingerprint(self) -> tuple[object, ...]:
        photographs = self.sampler.photographs_NHW3
        about = self.config, self.style_digests, None if photographs is None else list(photographs.shape)
        return (*about, self.masks) if self.masks else about


def learning_rate(config: Training, step: int) -> float:
    """Return the learning rate of the step that follows `step` steps."""
    decay, full = config.decay, config.learning_rate
    if step < config.warmup:
        return full * (step + 1) / config.warmup
    if decay.name == "step":
        return float(full * decay.factor ** (step // decay.every))
    if decay.name == "cosine":
        return full * 0.5 * (1.0 + math.cos(math.pi * step / config.steps))
    return full / (1.0 + decay.rate * step) if decay.name == "inverse" else full


def _refuse(
    config: Training,
    styles: Sequence[Pixels],
    photographs: np.ndarray | None,
    parent: NetworkFile | None,
    masks: Sequence[Labels],
) -> None:
    most = config.most_styles
    if len(styles) != most if most is not None else not styles:
        wanted = {None: "at least one style image", 0: "no style image"}.get(most, f"{most} style image")
        raise UserError(f"{config.family} learns from {wanted}; found {len(styles)}")
    if config.masks and len(masks) != len(styles):
        raise InputError(f"{config.family} needs the mask of each style image; found {len(masks)}")
    if config.photographs and photographs is None:
        raise InputError(f"{config.family} needs photographs to learn from; found none")
    if fault := config.fault(has_parent=parent is not None):
        raise UserError(fault)
