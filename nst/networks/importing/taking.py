"""Checked access to the tensors of somebody else's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


def take(tensors: Mapping[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor `key` in float32.

    Args:
        tensors: Tensors of the file.
        key: Name of the tensor.
        shape: The shape that it must have.

    Raises:
        InputError: It is missing, of another shape, or holds values that are not finite.
    """
    if key not in tensors:
        raise InputError(f"the weights lack {key}", hint="is the file damaged?")
    if tuple(tensors[key].shape) != tuple(shape):
        raise InputError(f"{key} has shape {tuple(tensors[key].shape)}; expected {tuple(shape)}")
    if not tensors[key].isfinite().all():
        raise InputError(f"{key} holds values that are not finite", hint="is the file damaged?")
    return tensors[key].float()


def check_all_known(tensors: Mapping[str, Tensor], known: set[str]) -> None:
    """Refuse tensors that the network would leave out: it would then compute something else than its author's.

    Raises:
        InputError: A tensor is not among the `known` names.
    """
    if unknown := sorted(tensors.keys() - known):
        raise InputError(
            f"the weights hold {unknown[0]}, which this network does not have", hint="is it a variant of the network?"
        )


def fill(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy values into the parameters of a network, all of which must be given."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(values[name].reshape(parameter.shape))
