"""deploy.yaml, strictly: Prefect deploys a misspelt key without a word."""

from __future__ import annotations

import inspect
import zoneinfo
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flows.nightly import train_nightly

FILE = Path(__file__).parent.parent / "deploy.yaml"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkPool(Strict):
    name: Literal["nst"]
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = {}


class ConcurrencyLimit(Strict):
    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"]
    grace_period_seconds: int | None = Field(default=None, ge=60)


class Schedule(Strict):
    slug: str  # without it, deploying again adds a second schedule
    cron: str = Field(pattern=r"^\S+( \S+){4}$")
    timezone: str
    active: bool
    parameters: dict[str, Any] = {}

    @field_validator("timezone")
    @classmethod
    def known(cls, name):
        return zoneinfo.ZoneInfo(name).key


class Deployment(Strict):
    name: str
    description: str
    entrypoint: str = Field(pattern=r"^flows\.\w+\.\w+$")
    build: tuple[dict[str, dict[str, str]], ...] = ()
    work_pool: WorkPool
    enforce_parameter_schema: Literal[True]
    concurrency_limit: ConcurrencyLimit | None = None
    parameters: dict[str, Any] = {}
    schedules: tuple[Schedule, ...] = ()


class DeployFile(Strict):
    name: Literal["nst"]
    pull: tuple[()]
    definitions: dict[str, Any] = {}
    deployments: tuple[Deployment, ...]


def deployments():
    return DeployFile.model_validate(yaml.safe_load(FILE.read_text())).deployments


@pytest.mark.parametrize("deployment", deployments(), ids=lambda d: d.name)
def test_entrypoints_are_flows_and_take_the_parameters(deployment):
    from prefect import Flow
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(deployment.entrypoint)
    assert isinstance(flow, Flow)
    assert flow.isasync, "a synchronous flow takes a second to end"
    signature = inspect.signature(flow.fn)
    for schedule in deployment.schedules or ({},):
        given = {**deployment.parameters, **getattr(schedule, "parameters", {})}
        signature.bind_partial(**given)
        if deployment.schedules:
            signature.bind(**given)  # nobody is there to add what is missing


def test_names_and_slugs_are_unique():
    names = [deployment.name for deployment in deployments()]
    assert len(set(names)) == len(names)
    for deployment in deployments():
        slugs = [schedule.slug for schedule in deployment.schedules]
        assert len(set(slugs)) == len(slugs)


def test_what_runs_every_night_is_declared_with_its_time_and_root():
    nightly = {deployment.name: deployment for deployment in deployments() if deployment.schedules}
    assert nightly.keys() == {"train-nightly", "compact-nightly"}
    for deployment in nightly.values():
        assert deployment.parameters["root"]
        assert deployment.build == ({"tasks.prefect.deploying.require_root": {"root": "{{ $NST_ROOT }}"}},)
        assert all(schedule.active for schedule in deployment.schedules)
    assert nightly["train-nightly"].concurrency_limit.collision_strategy == "CANCEL_NEW"  # one night at a time
    assert not train_nightly.retries  # a run that waits for its retry would keep out a night that is fired by hand


def test_no_secret_is_in_the_file():
    assert not any(word in FILE.read_text().lower() for word in ("secret", "password", "token", "access_key"))


@pytest.mark.parametrize("misspelt", ["schedulez", "job_variable", "paramters"])
def test_the_schema_refuses_what_prefect_ignores(misspelt):
    document = yaml.safe_load(FILE.read_text())
    document["deployments"][0][misspelt] = {}
    with pytest.raises(ValidationError, match=misspelt):
        DeployFile.model_validate(document)
