"""The deployments of `deploy.yaml`, read strictly: Prefect deploys a misspelt key without a word.

Also what is checked before a deployment is made; `deploy.yaml` names it as a build step.
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nst.errors import InputError

POOL: Final = "nst"
"""Name of the work pool of every deployment."""

TAG: Final = "nst"
"""Tag of every deployment, and so of its runs: our automations are about these alone."""

_HERE: Final = Path(__file__).parents[2]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkPool(_Strict):
    """Where the runs of a deployment are carried out."""

    name: Literal["nst"]
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = {}


class ConcurrencyLimit(_Strict):
    """How many runs of a deployment there are at one time, and what becomes of one more."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"]
    grace_period_seconds: int | None = Field(default=None, ge=60)


class Schedule(_Strict):
    """When a deployment runs by itself. Without `slug`, deploying again would add a second schedule."""

    slug: str
    cron: str = Field(pattern=r"^\S+( \S+){4,5}$")
    timezone: str
    active: bool
    parameters: dict[str, Any] = {}

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        return zoneinfo.ZoneInfo(name).key


class Deployment(_Strict):
    """One deployment."""

    name: str
    description: str
    tags: tuple[Literal["nst"]]
    entrypoint: str = Field(pattern=r"^flows\.\w+\.\w+$")
    build: tuple[dict[str, dict[str, str]], ...] = ()
    work_pool: WorkPool
    enforce_parameter_schema: Literal[True]
    concurrency_limit: ConcurrencyLimit | None = None
    parameters: dict[str, Any] = {}
    schedules: tuple[Schedule, ...] = ()


class DeployFile(_Strict):
    """The whole file."""

    name: Literal["nst"]
    pull: tuple[()]
    definitions: dict[str, Any] = {}
    deployments: tuple[Deployment, ...]


def deploy_file() -> Path:
    """Return the path of `deploy.yaml`: that of the checkout, or the copy in the installed package."""
    checkout, packaged = _HERE / "deploy.yaml", _HERE / "flows" / "deploy.yaml"
    return checkout if checkout.exists() else packaged


def read_deployments(path: Path) -> tuple[Deployment, ...]:
    """Return the deployments of a file.

    Raises:
        InputError: It has another shape; the message names the first fault.
    """
    try:
        return DeployFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).deployments
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(f"{path}: {where}: {fault['msg']}", hint="Prefect would ignore it") from error


def require_root(root: str | None = None) -> dict[str, str]:
    """Refuse a deployment that would run every night without a root.

    Args:
        root: URI of the root, from the environment in which `prefect deploy` runs.

    Raises:
        SystemExit: None is set. Prefect would show a trace of any other error.
    """
    if not root:
        message = "error: NST_ROOT is not set, expected the URI of the root that the nightly runs work on"
        raise SystemExit(f"{message} (NST_ROOT=s3://bucket/prefix prefect deploy ...)")
    return {}
