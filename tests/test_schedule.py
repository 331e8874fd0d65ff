"""The schedule fires: a real Prefect server and worker, deploy.yaml its cron replaced by seconds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from trainings import manifest, write_pictures
from warm_prefect import prefect, warm_servers

from tasks.prefect import process as prefect_process
from tasks.prefect.server import private_server, starting_server

ROOT = Path(__file__).parent.parent
EVERY_S = 5

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def server(tmp_path, monkeypatch, migrated_state):
    assert not os.environ.get("PREFECT_API_URL")
    for name in ("SCHEDULER_ENABLED", "FOREMAN_ENABLED"):  # private servers do without
        monkeypatch.setitem(prefect_process._SETTINGS, f"PREFECT_SERVER_SERVICES_{name}", "true")
    for name, runs in (("MIN_RUNS", "2"), ("MAX_RUNS", "3")):  # ahead; a hundred are planned otherwise, two are needed
        monkeypatch.setitem(prefect_process._SETTINGS, f"PREFECT_SERVER_SERVICES_SCHEDULER_{name}", runs)
    shutil.copytree(migrated_state / "nst/prefect", tmp_path / "prefect")
    with warm_servers(), starting_server(tmp_path / "prefect") as starting, private_server(starting) as server:
        yield server


def deploy_file(folder, root):
    """Write the one deployment with a near schedule, everything else as it ships."""
    document = yaml.safe_load((ROOT / "deploy.yaml").read_text())
    nightly = next(item for item in document["deployments"] if item["name"] == "train-nightly")
    nightly["schedules"][0]["cron"] = f"* * * * * */{EVERY_S}"
    nightly["parameters"] |= {"root": str(root), "inputs": str(folder), "devices": ["cpu"]}
    document["deployments"] = [nightly]
    path = folder / "deploy.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def scheduled_runs(server):
    try:
        return server.call("POST", "/flow_runs/count", {})
    except TimeoutError:  # of a busy machine
        return 0


def runs(server):
    try:
        return server.call("POST", "/flow_runs/filter", {"sort": "START_TIME_ASC"})
    except TimeoutError:  # of a busy machine
        return []


def finished_runs(server):
    return [run for run in runs(server) if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}]


@pytest.mark.timeout(280)
def test_the_schedule_fires_again_and_again_and_a_night_trains(server, tmp_path):
    """What the night after finds, which has nothing to train, is in test_train_run.py."""
    write_pictures(tmp_path)
    root = tmp_path / "root"
    nightly = root / "manifests/nightly/tiny.yaml"
    nightly.parent.mkdir(parents=True)
    nightly.write_text(manifest(steps=3))
    environment = {
        **os.environ,
        "NST_ROOT": str(root),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
    }
    server.call("POST", "/work_pools/", {"name": "nst", "type": "process"})
    deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", str(deploy_file(tmp_path, root))]
    done = prefect(*deploy, cwd=ROOT, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    until = time.monotonic() + 200
    while not scheduled_runs(server):
        assert time.monotonic() < until, "nothing is scheduled: " + (tmp_path / "prefect/runs-0.log").read_text()
        time.sleep(0.2)
    log = tmp_path / "worker.log"
    worker = [
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "worker",
        "start",
        "--pool",
        "nst",
        "--type",
        "process",
        "--limit",
        "1",
    ]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            worker, cwd=tmp_path, env=environment, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            until = time.monotonic() + 240
            while not (finished := finished_runs(server)):
                assert time.monotonic() < until, log.read_text()
                assert process.poll() is None, log.read_text()
                time.sleep(0.3)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert finished[0]["state_type"] == "COMPLETED", log.read_text()
    starts = {run["expected_start_time"] for run in runs(server) if run["auto_scheduled"]}
    assert len(starts) >= 2, starts
    models = pd.read_parquet(root / "catalog/models")
    assert models["name"].tolist() == ["tiny"]
    first = min((root / "state/nights").iterdir())
    (night,) = json.loads(first.read_text())["manifests"]
    assert (night["trained"], night["trained_before"]) == (1, 0)
