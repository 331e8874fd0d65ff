"""`--engine` and what belongs to it: which engine carries out a run."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from nst.errors import UserError
from tasks.work.devices import choose_devices

if TYPE_CHECKING:
    from flows.ray_engine import Place


class EngineName(StrEnum):
    """The engines of `nst run`."""

    PREFECT = "prefect"
    INLINE = "inline"
    RAY = "ray"


EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="prefect: records of task runs and their page; inline: threads of this process; ray: an actor for each "
        "device of this machine or of a cluster.",
    ),
]
InlineOption = Annotated[bool, typer.Option("--inline", help="The same as --engine inline.")]
RayAddressOption = Annotated[
    str,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="Ray cluster to run on (auto, HOST:PORT); by default RAY_ADDRESS, or else one of this machine that ends "
        "with the run.",
    ),
]


def chosen_engine(engine: EngineName, ray_address: str, *, inline: bool) -> EngineName:
    """Return the engine that the options name together.

    Raises:
        UserError: They name two.
    """
    if inline and engine is EngineName.RAY:
        raise UserError("--inline and --engine ray name two engines", hint="leave one of them out")
    if ray_address and engine is not EngineName.RAY:
        raise UserError("--ray-address names a cluster, and the run is not on Ray", hint="add --engine ray")
    return EngineName.INLINE if inline else engine


def ray_places(devices: str, address: str) -> tuple[Place, ...]:
    """Return where participants are to run on Ray; an existing cluster is connected.

    Args:
        devices: `--devices`.
        address: `--ray-address`.

    Raises:
        UserError: Ray is not installed, the cluster cannot be used, or a device is not there.
    """
    from flows.ray_engine import cluster_places, local_places

    address = address or os.environ.get("RAY_ADDRESS", "")
    if address in {"", "local"}:
        return local_places(choose_devices(devices.split(",")))
    if devices:
        text = f"--devices names devices of this machine, and {address} is a cluster, whose devices Ray gives out"
        raise UserError(text, hint="leave out --devices, or say --ray-address local")
    return cluster_places(address)
