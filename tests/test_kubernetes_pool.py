"""Parts of sweeps as jobs of Kubernetes, by the pool of docs/launchers/kubernetes-pool.json; no cluster was at hand.

What a cluster would be asked for is made by Prefect's own worker for Kubernetes, from a pool on a real server. The test
is the cluster: it holds the job against the published schemas, and starts its container's command as a process.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from sweeps import TINY_MANIFEST, write_pictures
from warm_prefect import prefect, start, warm_servers

from flows.stop import GRACE_S
from tasks.root import open_root

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs/launchers/kubernetes-pool.json"
JOB = ROOT / "docs/launchers/kubernetes-job.yaml"
GIVEN_BY_US = {"image", "env", "cpu_request", "memory_request", "memory_limit", "finished_job_ttl"}
ADDED_BY_US = {"gpus", "store_secret"}

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def kubernetes():
    """The module of Prefect's worker for Kubernetes."""
    return pytest.importorskip("prefect_kubernetes.worker", reason="needs the extra kubernetes")


@pytest.fixture
def template():
    return json.loads(FILE.read_text())


def commands():
    """Return the block of commands of docs/scaling.md for a pool of Kubernetes, its lines joined."""
    text = (ROOT / "docs/scaling.md").read_text().split("\n## Kubernetes\n")[1].split("\n## ")[0]
    (block,) = (
        found for found in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if "work-pool" in found
    )
    return [re.sub(r"\s+#.*", "", line).split() for line in block.replace("\\\n", " ").splitlines()]


def test_the_template_is_prefects_own_with_other_defaults_and_two_variables(kubernetes, template):
    theirs = kubernetes.KubernetesWorker.get_default_base_job_template()
    mine, original = (each["variables"].pop("properties") for each in (template, theirs))
    assert template["variables"] == theirs["variables"]
    assert mine.keys() - original.keys() == ADDED_BY_US
    assert {name for name in original if mine[name] != original[name]} == GIVEN_BY_US
    for name in GIVEN_BY_US:
        assert mine[name] | {"default": 0} == original[name] | {"default": 0}, name
    jobs = [each["job_configuration"].pop("job_manifest") for each in (template, theirs)]
    assert template == theirs
    for changed in (jobs[0]["spec"]["template"]["spec"]["containers"][0], jobs[0]["spec"]["template"]["spec"]):
        for name in ("securityContext", "command", "envFrom", "terminationGracePeriodSeconds"):
            changed.pop(name, None)
    container, original = (job["spec"]["template"]["spec"]["containers"][0] for job in jobs)
    assert container["resources"]["limits"].pop("nvidia.com/gpu") == "{{ gpus }}"
    container["env"] = original["env"]
    assert jobs[0] == jobs[1]


@pytest.fixture
def server(tmp_path, migrated_state):
    from tasks.prefect.server import private_server, starting_server

    state = shutil.copytree(migrated_state, tmp_path / "state")
    with ExitStack() as stack:
        with warm_servers():
            starting = stack.enter_context(starting_server(state / "nst/prefect"))
        server = stack.enter_context(private_server(starting))
        yield server
        assert not server.lost, starting.log_path.read_text()


@pytest.mark.slow
def test_a_sweep_is_done_by_the_jobs_that_a_cluster_is_asked_for(kubernetes, server, tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(TINY_MANIFEST))
    there = {name: value for name, value in os.environ.items() if not name.startswith(("NST_", "PREFECT_"))}
    there |= {"PREFECT_API_URL": server.api_url, "PREFECT_API_AUTH_STRING": server.auth, "OMP_NUM_THREADS": "1"}
    there |= {"XDG_STATE_HOME": str(tmp_path / "up"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    _, create, limit, up, worker, submit = commands()
    assert worker == ["prefect", "worker", "start", "--pool", "nst", "--type", "kubernetes"]
    for command in (create, limit):
        done = prefect(*command[1:], cwd=ROOT, **there)
        assert done.returncode == 0, done
    for command in (up, submit):
        words = [word.replace("s3://lab/nst", str(tmp_path / "root")) for word in command[1:]]
        said = start(*words, cwd=tmp_path, **there).ended()
        assert said.returncode == 0, said
    assert "as tiny" in said.stdout
    root = open_root(str(tmp_path / "root"))
    while asked := asyncio.run(jobs(kubernetes)):
        for job in asked:
            check(job)
            container = job["spec"]["template"]["spec"]["containers"][0]
            given = {each["name"]: each.get("value", "1") for each in container["env"]}
            ended = subprocess.run([*container["command"], *container["args"]], env=there | given, cwd=tmp_path,
                                   capture_output=True, text=True, check=False)  # fmt: skip
            assert ended.returncode == 0, ended
    assert len(root.catalog.read("results", ["cell_id"])) == 4


async def jobs(kubernetes):
    """Return the jobs that a worker of Kubernetes would make now of the runs that wait."""
    from prefect.client.orchestration import get_client

    made = []
    async with get_client() as client:
        pool = await client.read_work_pool("nst")
        assert (pool.type, pool.concurrency_limit) == ("kubernetes", 8)
        for found in await client.get_scheduled_flow_runs_for_work_pool("nst"):
            run = await client.read_flow_run(found.flow_run.id)
            if "priority-" not in (run.work_queue_name or ""):
                continue  # the nightly ones
            asked = await kubernetes.KubernetesWorkerJobConfiguration.resolve_for_flow_run(
                run, client=client, work_pool=pool, worker_name="cluster"
            )
            made.append(asked.job_manifest)
    return made


def check(job):
    """Hold a job against the schemas of Kubernetes, and against what a part needs."""
    pod = json.loads(json.dumps(job["spec"]["template"]["spec"]))
    (container,) = pod["containers"]
    of_docs = yaml.safe_load(JOB.read_text())["spec"]["template"]["spec"]
    assert container["resources"] == of_docs["containers"][0]["resources"], "one GPU among them"
    assert container["image"] == of_docs["containers"][0]["image"]
    assert [*container["command"], *container["args"]] == ["/usr/bin/env", "prefect", "flow-run", "execute"]
    assert container["securityContext"] == of_docs["containers"][0]["securityContext"]
    assert pod["securityContext"] == of_docs["securityContext"]
    assert (pod["parallelism"], pod["completions"], job["spec"]["backoffLimit"]) == (1, 1, 0)
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] > 2 * GRACE_S
    assert container["envFrom"] == [{"secretRef": {"name": "nst-store", "optional": True}}]
    names = [each["name"] for each in container["env"]]
    assert len(set(names)) == len(names)
    assert {"PREFECT_API_URL", "PREFECT__FLOW_RUN_ID", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"} <= set(names)
    strict = json.loads(json.dumps(job))
    for name in ("parallelism", "completions"):  # which Prefect wants in the pod, where Kubernetes ignores them
        del strict["spec"]["template"]["spec"][name]
    for version in kubernetes_validate.utils.all_versions()[-3:]:
        kubernetes_validate.validate(strict, version, strict=True)
