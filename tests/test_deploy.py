"""deploy.yaml, strictly: Prefect deploys a misspelt key without a word."""

from __future__ import annotations

import inspect

import pytest
import yaml

from flows.nightly import train_nightly
from nst.errors import InputError
from tasks.prefect.deploying import deploy_file, read_deployments

FILE = deploy_file()


def deployments():
    return read_deployments(FILE)


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
def test_the_schema_refuses_what_prefect_ignores(misspelt, tmp_path):
    document = yaml.safe_load(FILE.read_text())
    document["deployments"][0][misspelt] = {}
    path = tmp_path / "deploy.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=rf"deploy.yaml: deployments.0.{misspelt}: Extra inputs are not permitted"):
        read_deployments(path)
