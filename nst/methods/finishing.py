"""The last step of a cell: its picture passes once more through a trained network. Knows no family by name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from nst.config.feedforward import FeedforwardConfig
from nst.config.training import refuse_to_finish
from nst.errors import InputError
from nst.methods import feedforward
from nst.pictures.images import Pixels
from nst.workspace import Request

if TYPE_CHECKING:
    from nst.workspace import NetworkFile, Stylized, Workspace


def finished(result: Stylized, network: NetworkFile | None, workspace: Workspace) -> Stylized:
    """Return a result whose picture has passed through a network, or an error; the losses stay those before the pass.

    Args:
        result: The result of a method. One without a picture is returned as it is.
        network: The network, which takes a picture without a style; None for no last step.
        workspace: The warm state of the worker.
    """
    if network is None or result.image is None:
        return result
    try:
        family = workspace.network(network, torch.float32).family
        refuse_to_finish(family)
    except InputError as error:
        told = InputError(f"finish: {error.message}", hint=error.hint)
        return replace(result, image=None, losses=None, error=told)
    picture = Pixels(hashlib.sha256(result.image.tobytes()).hexdigest(), result.image)
    config = FeedforwardConfig(family=family, model=network.digest, size=max(result.image.shape[:2]))
    request = Request(result.cell_id, picture, (), (), "targets", config, model=network)
    (passed,) = feedforward.stylize_batch([request], workspace)
    losses = None if passed.error else result.losses
    return replace(result, image=passed.image, losses=losses, error=passed.error)
