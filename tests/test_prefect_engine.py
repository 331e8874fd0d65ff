"""The Prefect engine and the private server, together: one real server serves the whole module."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import http.client
import io
import json
import os
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from warm_prefect import prefect, warm_servers

from nst.errors import InputError, Stopped, StorageError
from tasks.effect import effect
from tasks.jobs import Failure, TrainingOutcome

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prefect"),  # one server
    # Prefect leaves connections of finished event loops to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected():
    """Collect Prefect's left-overs here, where their warnings are expected, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory, migrated_state):
    from tasks.prefect.server import private_server, starting_server

    assert not os.environ.get("PREFECT_API_URL")
    state = shutil.copytree(migrated_state, tmp_path_factory.mktemp("prefect") / "state")
    with ExitStack() as stack:
        with warm_servers():
            starting = stack.enter_context(starting_server(state / "nst/prefect"))
        yield stack.enter_context(private_server(starting))


@pytest.fixture(scope="module")
def work_pool(server):
    server.call("POST", "/work_pools/", {"name": "nst", "type": "process"})


def run_flow(order, *, max_workers=2, key="test"):
    """Run `order(engine)` as a flow; return its result and the flow run's id."""
    from prefect import flow
    from prefect.context import FlowRunContext

    from flows.prefect_engine import PrefectEngine, in_thread

    ids = []

    @flow(name="order")
    async def body():
        ids.append(str(FlowRunContext.get().flow_run.id))
        engine = PrefectEngine(max_workers, key)

        def inside():
            with engine:
                return order(engine)

        return await in_thread(engine, inside)

    try:
        return asyncio.run(body()), ids[0]
    except Exception as error:
        error.flow_run_id = ids[0]
        raise


def results(engine, fn, items, window):
    """Return the results of `fn`, as the orders of steps take them."""
    from flows.engine import completed

    return [future.result() for _, future in completed(engine, fn, items, window)]


def task_runs(server, flow_run_id):
    return server.call("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}})


def artifacts(server, flow_run_id):
    found = server.call("POST", "/artifacts/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}})
    return {artifact["key"]: artifact for artifact in found}


class Argument:
    def __init__(self, key):
        self.key = key


def test_every_task_run_is_stored(server):
    def trivial(n):
        return n + 1

    numbers, flow_run_id = run_flow(lambda engine: sorted(results(engine, trivial, range(60), 4)))
    assert numbers == list(range(1, 61))
    assert server.drained(flow_run_id, 60)
    count = server.call("POST", "/task_runs/count", {"flow_runs": {"id": {"any_": [flow_run_id]}}})
    assert count == 60
    assert {run["state_type"] for run in task_runs(server, flow_run_id)} == {"COMPLETED"}
    assert server._expected[flow_run_id] == 60


def test_what_began_before_there_was_a_flow_has_its_task_run(server):
    from flows.early import EarlyEngine

    def paint(argument):
        return argument.key

    with EarlyEngine(1, threading.Event()) as engine:
        early = engine.submit(paint, Argument("ab12"))
        assert early.result(60) == "ab12"

        def order(late):
            engine.hand_over(late)
            return engine.submit(paint, Argument("cd34")).result(60)

        later, flow_run_id = run_flow(order, max_workers=1)
    assert later == "cd34"
    assert server.drained(flow_run_id, 2)
    runs = task_runs(server, flow_run_id)
    assert sorted((run["name"], run["state_type"]) for run in runs) == [
        ("paint ab12", "COMPLETED"),
        ("paint cd34", "COMPLETED"),
    ]


def test_only_transient_errors_are_retried(server):
    attempts = {"storage": 0, "input": 0}

    @effect(retries=2, retry_delays_s=(0,))
    def storage(_):
        attempts["storage"] += 1
        if attempts["storage"] < 3:
            raise StorageError("503")
        return "stored"

    @effect(retries=2, retry_delays_s=(0,))
    def broken(_):
        attempts["input"] += 1
        raise InputError("not an image", hint="look at it")

    def order(engine):
        stored = engine.submit(storage, Argument("0123456789abcdef")).result()
        error = engine.submit(broken, None).exception()
        return stored, error

    (stored, error), flow_run_id = run_flow(order)
    assert stored == "stored"
    assert isinstance(error, InputError)
    assert error.hint == "look at it"
    assert attempts == {"storage": 3, "input": 1}
    assert server.drained(flow_run_id, 2)
    runs = {run["name"]: run for run in task_runs(server, flow_run_id)}
    assert runs["storage 0123456789ab"]["run_count"] == 3
    assert runs["storage 0123456789ab"]["state_type"] == "COMPLETED"
    assert runs["broken"]["run_count"] == 1
    assert runs["broken"]["state_type"] == "FAILED"


def test_the_page_shows_progress_table_and_contact_sheet(server):
    picture = io.BytesIO()
    Image.effect_noise((1500, 1500), 90).convert("RGB").save(picture, "JPEG", quality=95)
    assert len(picture.getvalue()) > 500_000
    rows = [{"method": "gatys", "cells": n, "loss": float("nan")} for n in range(300)]

    def order(engine):
        for done in range(1, 101):
            engine.progress(done, 100, "painting")
        engine.show(rows, picture.getvalue())

    _, flow_run_id = run_flow(order, key="Starry Night x 3")
    shown = artifacts(server, flow_run_id)
    assert set(shown) == {"starry-night-x-3-progress", "starry-night-x-3-summary", "starry-night-x-3-contact-sheet"}
    assert shown["starry-night-x-3-progress"]["data"] == 100
    assert shown["starry-night-x-3-progress"]["description"] == "100 of 100 cells. painting"
    assert shown["starry-night-x-3-summary"]["data"].count('"method"') == 200
    markdown = shown["starry-night-x-3-contact-sheet"]["data"]
    assert len(markdown) < 501_000
    with Image.open(io.BytesIO(base64.b64decode(markdown.split("base64,")[1].rstrip(")")))) as image:
        assert image.format == "JPEG"
        assert image.width > 300


def test_a_failing_order_fails_the_flow_and_begins_nothing_more(server):
    begun = []

    def work(n):
        begun.append(n)
        if n == 2:
            raise InputError("bad")
        return n

    with pytest.raises(InputError, match="bad") as caught:
        run_flow(lambda engine: results(engine, work, range(1000), 2))
    assert len(begun) < 10
    flow_run_id = caught.value.flow_run_id
    assert server.drained(flow_run_id, len(begun))
    assert server.call("GET", f"/flow_runs/{flow_run_id}")["state_type"] == "FAILED"


def test_cancelling_the_flow_stops_the_order_and_waits_for_it(server):
    from prefect import flow

    from flows.prefect_engine import PrefectEngine, in_thread

    began, finished = threading.Event(), []

    def work(n):
        began.set()
        time.sleep(0.2)
        finished.append(n)
        return n

    @flow
    async def body():
        engine = PrefectEngine(1)

        def inside():
            with engine:
                return results(engine, work, range(1000), 2)

        return await in_thread(engine, inside)

    async def cancel_soon():
        task = asyncio.ensure_future(body())
        await asyncio.to_thread(began.wait, 60)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel_soon())
    assert len(finished) == 1


def test_the_client_is_pointed_to_the_server_in_every_thread(server):
    from prefect.settings import PREFECT_API_URL

    seen = []
    thread = threading.Thread(target=lambda: seen.append(PREFECT_API_URL.value()))
    thread.start()
    thread.join()
    assert seen == [server.api_url]
    assert os.environ["PREFECT_API_URL"] == server.api_url


def test_nightly_runs_are_not_deployed_without_a_root(server, work_pool, monkeypatch):
    def deployed():  # another test may have deployed them on this server
        return sorted((found["name"], found["updated"]) for found in server.call("POST", "/deployments/filter", {}))

    monkeypatch.delenv("NST_ROOT", raising=False)
    before = deployed()
    for name in ("train-nightly", "compact-nightly"):
        done = prefect("--no-prompt", "deploy", "--name", name, "--prefect-file", "deploy.yaml", cwd=ROOT)
        assert done.returncode, done.stdout
        assert "error: NST_ROOT is not set" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    assert deployed() == before


def test_an_outcome_that_is_a_failure_is_shown_as_failed_and_comes_back(server):
    def train(_):
        return TrainingOutcome("0123", Failure("0123", "Unhealthy", "the loss is not finite"))

    outcome, flow_run_id = run_flow(lambda engine: engine.submit(train, None).result())
    assert outcome.failure.message == "the loss is not finite"
    assert server.drained(flow_run_id, 1)
    (run,) = task_runs(server, flow_run_id)
    assert (run["state_type"], run["run_count"]) == ("FAILED", 1)
    assert "not finite" in run["state"]["message"]


def test_a_stopped_effect_is_cancelled_and_not_retried(server):
    @effect(retries=2, retry_delays_s=(600,))
    def work(_):
        raise Stopped("the worker was stopped")

    error, flow_run_id = run_flow(lambda engine: engine.submit(work, None).exception())
    assert isinstance(error, Stopped)
    assert server.drained(flow_run_id, 1)
    assert [run["state_type"] for run in task_runs(server, flow_run_id)] == ["CANCELLED"]


def answer(server, path, *, method="GET", **headers):
    parts = urlsplit(server.api_url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def test_a_private_server_keeps_others_out(server):
    assert answer(server, "/api/admin/settings")[0] == 401
    assert answer(server, "/api/admin/settings", Authorization="Basic bnN0Om5zdA==")[0] == 401
    for path in ("/api/health", "/runs"):  # of a page whose name was pointed to 127.0.0.1 after it was loaded
        assert answer(server, path, Host="evil.example")[0] == 400
    own, foreign = server.api_url.removesuffix("/api"), "http://evil.example"
    asked = {"method": "OPTIONS", "Access_Control_Request_Method": "POST"}
    assert answer(server, "/api/flow_runs/filter", Origin=own, **asked)[1]["access-control-allow-origin"] == own
    assert "access-control-allow-origin" not in answer(server, "/api/flow_runs/filter", Origin=foreign, **asked)[1]
    folder = Path(server.process.log_path).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "runs-0.db").stat().st_mode & 0o777 == 0o600


def test_the_pages_ask_the_server_that_serves_them(server):
    settings = json.loads(answer(server, "/ui-settings")[2])
    assert settings["api_url"] == server.api_url
    assert answer(server, "/runs", Accept="text/html")[0] == 200


def test_deploy_yaml_deploys(server, work_pool, monkeypatch):
    monkeypatch.setenv("NST_ROOT", "s3://bucket/root")
    done = prefect("--no-prompt", "deploy", "--all", "--prefect-file", "deploy.yaml", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    sweep, compact = (
        server.call("GET", f"/deployments/name/{name}") for name in ("sweep/sweep", "compact/compact-nightly")
    )
    assert sweep["entrypoint"] == "flows.sweep.sweep"
    assert not sweep["pull_steps"]
    assert not sweep["concurrency_options"], "its runs share a sweep"
    assert compact["parameters"] == {"root": "s3://bucket/root"}
    assert [schedule["schedule"]["cron"] for schedule in compact["schedules"]] == ["30 4 * * *"]
