"""One training: steps of Adam, its whole state, its weights as a model's file. Knows no file and no family's loss.

Shape letters: B pictures, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nst.config.training import (
    AdainTraining,
    ConditionalTraining,
    DoodleNetTraining,
    MganTraining,
    TextureNetTraining,
)
from nst.errors import InputError, UserError
from nst.losses.diversity import diversity_loss
from nst.losses.objective import arithmetic
from nst.networks import load, metadata_of
from nst.networks.conditional import ConditionalNet, add_rows, row_parameters
from nst.ops import to_arrays, to_bytes
from nst.records import TrainingRecord
from nst.training.exchange import ExchangeLesson
from nst.training.health import Guard
from nst.training.lessons import as_tensor
from nst.training.markovian import MarkovianLesson
from nst.training.perceptual import PerceptualLesson
from nst.training.regions import RegionLesson
from nst.training.sampler import Sampler
from nst.training.state import dump_state, inherit, restore_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from nst.config.training import TrainingConfig
    from nst.networks import Network
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.training.lessons import Lesson
    from nst.workspace import Model, Workspace


@dataclass(frozen=True, eq=False)
class Validation:
    """What a network makes of the validation pictures."""

    images: list[np.ndarray]
    """HWC uint8 RGB."""
    losses: dict[str, float]
    """`loss`, `content_loss`, `style_loss`, `tv_loss` after weighting, means over the pictures."""


class Trainer:
    """A network, its optimiser, and the place in its data.

    Args:
        config: Settings of the training.
        styles: The style images, as many as the family takes.
        workspace: Backbones and device.
        photographs: uint8 of shape (N, H, W, 3), at least `config.size` on both sides; None where none are needed.
        parent: A trained network of the same shape to go on from. A `conditional` one gets rows for the styles that it
            does not know.
        masks: Of the style images, for families that look at them.

    Attributes:
        learners: All that learns: the network and, where the lesson has one, its critic.
        style_digests: SHA-256 of all styles that the network knows, in the order of its rows.
        steps_done: Steps taken so far.

    Raises:
        UserError: Too few or too many styles, no photographs, or a parent of another shape.
    """

    def __init__(
        self,
        config: TrainingConfig,
        styles: Sequence[Pixels],
        workspace: Workspace,
        photographs: np.ndarray | None = None,
        parent: Model | None = None,
        *,
        masks: Sequence[Labels] = (),
    ) -> None:
        _refuse(config, styles, photographs, parent, masks)
        self.config, self.device, self.styles = config, workspace.device, len(styles)
        self.masks = [mask.digest for mask in masks]
        old, tensors = inherit(parent, config)
        self.style_digests = list(dict.fromkeys([*old, *(style.digest for style in styles)]))
        self.lesson = self._lesson(styles, masks, workspace)
        network = self.network
        if tensors:
            load(network, add_rows(tensors, network) if isinstance(network, ConditionalNet) else tensors)
        network.to(self.device, torch.float64 if config.precision == "float64" else torch.float32)
        if self.device.type == "cuda":
            network.to(memory_format=torch.channels_last)
        if config.compile:
            network.compile()
        self.sampler = Sampler(
            photographs if config.photographs else None, size=config.size, batch_size=config.batch_size,
            styles=len(styles), seed=config.seed,
            views=config.views if isinstance(config, TextureNetTraining) else 1,
        )  # fmt: skip
        self.learners = nn.ModuleDict({"network": network})
        groups: list[dict[str, Any]] = [{"params": self._learning(), "share": 1.0}]
        undecided = 0.0
        if isinstance(self.lesson, MarkovianLesson):
            self.learners["critic"] = self.lesson.critic
            groups.append({"params": list(self.lesson.critic.parameters()), "share": self.lesson.config.critic_rate})
            undecided = self.lesson.undecided
        self.optimizer = torch.optim.Adam(groups, lr=config.learning_rate, betas=(config.BETA1, 0.999))
        self.guard = Guard(undecided)
        self.steps_done = 0

    @property
    def network(self) -> Network:
        """The network in training."""
        return self.lesson.network

    def step(self) -> TrainingRecord:
        """Take one step of Adam and return its losses, those of before the step.

        Raises:
            Unhealthy: The training cannot go on; the weights are those of before the step.
        """
        config, batch = self.config, self.sampler.batch(self.steps_done)
        rate = learning_rate(config, self.steps_done)
        photographs_B3HW = None
        if batch.photographs is not None:
            photographs_B3HW = as_tensor(batch.photographs, self.device, self._dtype)
        self.network.train()
        with arithmetic(config.precision, self.device):
            outputs_B3HW, objective = self.lesson(photographs_B3HW, batch.styles, batch.seeds)
            losses = objective(outputs_B3HW)
            diversity = torch.zeros_like(losses.total[0])
            if isinstance(config, TextureNetTraining) and config.diversity_weight:
                diversity = config.diversity_weight * diversity_loss(
                    outputs_B3HW, config.views if config.photographs else None
                )
            total = losses.total.mean() + diversity
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
        parts = [total, losses.content.mean(), losses.style.mean(), losses.tv.mean(), diversity]
        lightest_B, darkest_B = outputs_B3HW.amax((1, 2, 3)), outputs_B3HW.amin((1, 2, 3))
        seen = [lightest_B.max(), (lightest_B - darkest_B).max()]
        loss, content, style, tv, diverse, lightest, spread = torch.stack(
            [part.detach().double() for part in (*parts, *seen)]
        ).tolist()
        record = TrainingRecord(self.steps_done + 1, loss, content, style, tv, diverse, rate)
        self.guard.check(record, lightest, spread, outputs_B3HW)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.step()
        self.steps_done += 1
        return record

    def validate(self, pictures: Sequence[np.ndarray]) -> Validation:
        """Return what the network makes of pictures that it does not learn from, each at its own size.

        Args:
            pictures: HWC uint8; of masks for families that paint them. Networks of mode `texture` make as many new ones
                of the training's size instead.
        """
        images, losses = [], []
        self.network.eval()
        with torch.no_grad(), arithmetic(self.config.precision, self.device):
            for number, picture in enumerate(pictures):
                photograph_13HW = None
                if self.config.photographs or self.config.masks:
                    photograph_13HW = as_tensor(picture[None], self.device, self._dtype)
                output_13HW, objective = self.lesson(photograph_13HW, [number % self.styles], [number], whole=True)
                images.append(to_arrays(to_bytes(output_13HW))[0])
                measured = objective(output_13HW)
                losses.append(torch.cat([measured.total, measured.content, measured.style, measured.tv]))
        self.network.train()
        means = torch.stack(losses).double().mean(0).tolist() if losses else []
        return Validation(images, dict(zip(("loss", "content_loss", "style_loss", "tv_loss"), means, strict=False)))

    def state(self) -> dict[str, Tensor]:
        """Return everything that going on needs, as tensors by name on the CPU."""
        return dump_state(self.learners, self.optimizer, self.guard, self.steps_done, self._fingerprint)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state; on a CPU with as many threads the next steps are those of the other training, bit by bit.

        Raises:
            InputError: It belongs to other settings, styles or photographs, or is damaged.
        """
        self.steps_done = restore_state(state, self.learners, self.optimizer, self.guard, self._fingerprint)

    def weights(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return the tensors and metadata of a model's file, from which `network_from` builds the network again."""
        tensors = {
            key: tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
            .contiguous()
            for key, tensor in self.network.state_dict().items()
        }  # fmt: skip
        return tensors, metadata_of(self.config, self.style_digests, self.steps_done, self.network.colors)

    def _lesson(self, styles: Sequence[Pixels], masks: Sequence[Labels], workspace: Workspace) -> Lesson:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            if isinstance(self.config, AdainTraining):
                return ExchangeLesson(self.config, styles, workspace)
            if isinstance(self.config, MganTraining):
                return MarkovianLesson(self.config, styles[0], workspace)
            if isinstance(self.config, DoodleNetTraining):
                return RegionLesson(self.config, styles[0], masks[0], workspace)
            rows = [self.style_digests.index(style.digest) for style in styles]
            return PerceptualLesson(self.config, styles, rows, len(self.style_digests), workspace)

    def _learning(self) -> list[Tensor]:
        network = self.network
        if (
            isinstance(network, ConditionalNet)
            and isinstance(self.config, ConditionalTraining)
            and self.config.only_rows
        ):
            return row_parameters(network)
        return list(network.parameters())

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float64 if self.config.precision == "float64" else torch.float32

    @property
    def _fingerprint(self) -> tuple[object, ...]:
        photographs = self.sampler.photographs_NHW3
        about = self.config, self.style_digests, None if photographs is None else list(photographs.shape)
        return (*about, self.masks) if self.masks else about


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate after `step` steps."""
    decay, full = config.decay, config.learning_rate
    if step < config.warmup:
        return full * (step + 1) / config.warmup
    if decay.name == "step":
        return float(full * decay.factor ** (step // decay.every))
    return full / (1.0 + decay.rate * step) if decay.name == "inverse" else full


def _refuse(
    config: TrainingConfig,
    styles: Sequence[Pixels],
    photographs: np.ndarray | None,
    parent: Model | None,
    masks: Sequence[Labels],
) -> None:
    most = config.most_styles
    if not styles or (most is not None and len(styles) > most):
        raise UserError(f"{config.family} learns from {most or 'any number of'} style images; found {len(styles)}")
    if config.masks and len(masks) != len(styles):
        raise InputError(f"{config.family} needs the mask of each style image; found {len(masks)}")
    if config.photographs and photographs is None:
        raise InputError(f"{config.family} needs photographs to learn from; found none")
    if isinstance(config, TextureNetTraining) and config.diversity_weight and config.batch_size % 2:
        raise UserError(f"diversity_weight needs an even batch_size; found {config.batch_size}")
    if isinstance(config, ConditionalTraining) and config.only_rows and parent is None:
        raise UserError("only_rows needs a parent, whose network stays as it is")
