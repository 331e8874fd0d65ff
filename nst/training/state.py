"""The whole state of a training as tensors by name, fit for a safetensors file. Knows no loss and no file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from nst.errors import InputError
from nst.identity import canonical, digest16
from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from nst.config.training import Training
    from nst.training.health import Guard
    from nst.workspace import NetworkFile

_ENCODER = "network.encoder."
"""Prefix of the names of the encoder's tensors, which never change and are not saved."""


def dump_state(
    learners: nn.ModuleDict, optimizer: torch.optim.Optimizer, guard: Guard, steps: int, about: tuple[Any, ...]
) -> dict[str, Tensor]:
    """Return the modules in training, their optimiser, the guard's memory and the step as tensors on the CPU.

    Args:
        learners: The network in training and, where there is one, its critic.
        optimizer: The optimiser of their parameters.
        guard: Guard of the training's health.
        steps: Number of steps taken so far.
        about: The settings of the training and whatever else distinguishes it from other trainings, as JSON values.
    """
    state = {key: tensor for key, tensor in learners.state_dict().items() if not key.startswith(_ENCODER)}
    for index, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
    state["guard"] = torch.tensor([guard.smoothed, guard.lowest], dtype=torch.float64)
    state["steps"] = torch.tensor(steps)
    state["about"] = _digest(about)
    return {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in state.items()}


def restore_state(
    state: Mapping[str, Tensor],
    learners: nn.ModuleDict,
    optimizer: torch.optim.Optimizer,
    guard: Guard,
    about: tuple[Any, ...],
) -> int:
    """Put a state back into the learners, optimiser and guard of `dump_state`, and return its number of steps.

    Raises:
        InputError: The state belongs to another training, or is damaged.
    """
    try:
        if not torch.equal(state["about"], _digest(about)):
            raise InputError("the checkpoint belongs to another training: its settings, styles or photographs differ")
        found = {
            key: state.get(key, tensor) if key.startswith(_ENCODER) else state[key]
            for key, tensor in learners.state_dict().items()
        }
        learners.load_state_dict(found)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _below("optimizer.", state).items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = tensor.clone()
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        guard.smoothed, guard.lowest = state["guard"].tolist()
        return int(state["steps"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"the checkpoint cannot be read: {error}", hint="is the file damaged?") from error


def inherit(parent: NetworkFile | None, config: Training) -> tuple[list[str], dict[str, Tensor]]:
    """Return the digests of the styles that a parent network has rows for, and its tensors; both empty with no parent.

    Raises:
        InputError: The parent is of another family, or an external network.
    """
    if parent is None:
        return [], {}

    metadata, tensors = parent.load()
    if metadata.get("family") != config.family:
        found = metadata.get("family", "an external network")
        raise InputError(f"the parent is {found}; a {config.family} training needs one of {config.family}")
    return from_json(metadata.get("styles", "[]")) if config.KNOWS == "many" else [], dict(tensors)


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _digest(about: tuple[Any, ...]) -> Tensor:
    config, *rest = about
    settings = config.model_dump(mode="json", exclude=set(config.NOT_PIXELS))
    settings["backbone"].pop("weights")  # where the file lies makes no other training
    return torch.tensor(list(digest16(canonical([settings, *rest]))), dtype=torch.uint8)
