"""The Dockerfile and the job of Kubernetes, by their own rules; no engine of Docker and no cluster was at hand."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import command_lines
import kubernetes_validate
import pytest
import yaml

from flows.command.leaving import CHANGE_SOMETHING
from flows.stop import GRACE_S

ROOT = Path(__file__).parent.parent


# ---- the job of Kubernetes ----------------------------------------------------------------------------------------
SINCE = (1, 29)
"""The first version whose schema has `backoffLimitPerIndex` on by default."""

VERSIONS = [v for v in kubernetes_validate.utils.all_versions() if tuple(map(int, v.split(".")))[:2] >= SINCE]


@pytest.fixture
def job():
    return yaml.safe_load((ROOT / "docs/launchers/kubernetes-job.yaml").read_text())


def test_the_schemas_of_kubernetes_take_the_job(job):
    assert len(VERSIONS) > 3
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)


def test_the_schemas_refuse_a_field_that_there_is_not(job):
    job["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(job, VERSIONS[-1], strict=True)


def test_the_job_keeps_the_rules_that_no_schema_says(job):
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"], "all take part at the same time"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "podFailurePolicy and backoffLimitPerIndex want it"
    assert pod["terminationGracePeriodSeconds"] > 2 * GRACE_S
    final = [rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert final == [[CHANGE_SOMETHING]]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "command" not in container, "the image's own command is nst"
    assert command_lines.parse(container["args"]) == "work"


# ---- the image ----------------------------------------------------------------------------------------------------
def instructions():
    """Return the instructions of the Dockerfile, each with its arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def given(name):
    return [arguments for instruction, arguments in instructions() if instruction == name]


def sources():
    """Return the files and folders that the image is made from."""
    return [source for arguments in given("COPY") for source in arguments.split()[:-1]]


def installs(text):
    """Return the options of each installation by pip, without those that say nothing of what is installed."""
    commands = re.findall(r"pip install (.*?)(?: &&.*)?$", text, re.MULTILINE)
    return [set(command.split()) - {"--quiet", "--no-cache-dir", "--editable"} for command in commands]


def test_what_is_copied_is_there_and_is_all_that_docker_is_shown():
    """A source that is missing ends a build; whatever else is shown could be a key or a result of somebody's."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for source in sources():
        assert any(file == source or file.startswith(f"{source}/") for file in tracked), source
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(sources())


def test_the_image_installs_what_make_install_does():
    makefile = re.search(r"^\$\(VENV\)/.installed:.*?\n\n", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert installs("\n".join(given("RUN"))) == installs(makefile[0])
    assert all("pip" not in run or "&& pip check" in run or "--require-hashes" in run for run in given("RUN"))


def test_the_image_runs_nst_as_a_user_who_is_not_root_and_holds_no_secret():
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(number for number, name in enumerate(names) if name in {"RUN", "COPY"})
    assert [user.isdecimal() and int(user) > 0 for user in given("USER")] == [True], "runAsNonRoot wants a number"
    assert given("ENTRYPOINT") == ['["nst"]'], "so that signals reach it"
    assert not given("ARG")
    assert not any(fnmatch.fnmatch(word, "*[KST][EO][YCK]*") for word in " ".join(given("ENV")).split("=")[0::2])


@pytest.mark.slow
def test_the_files_of_the_image_suffice_to_install_and_run_nst(tmp_path):
    """The Dockerfile's own line, in a new environment that finds what the lock names in the one of the tests."""
    for source in sources():
        place = tmp_path / "build" / source
        place.parent.mkdir(exist_ok=True)
        shutil.copytree(ROOT / source, place) if (ROOT / source).is_dir() else shutil.copy(ROOT / source, place)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (tmp_path / "venv/bin/pip").write_text('#!/bin/sh\nexec python -m pip "$@"')
    (tmp_path / "venv/bin/pip").chmod(0o755)
    (site,) = tmp_path.glob("venv/lib/*/site-packages")
    (site / "lock.pth").write_text(sysconfig.get_path("purelib"))
    there = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    there |= {"PATH": f"{tmp_path}/venv/bin:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
    (line,) = (run for run in given("RUN") if "--no-build-isolation" in run)

    def said(command, folder):
        shell = ["sh", "-c", command]
        ended = subprocess.run(shell, cwd=folder, env=there, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended
        return ended.stdout

    said(line, tmp_path / "build")
    shutil.rmtree(tmp_path / "build")
    assert Path(said("python -c 'import flows; print(flows.__file__)'", tmp_path).strip()).is_relative_to(site)
    assert "samples/quickstart.yaml" in said("nst samples samples", tmp_path)
    assert json.loads(said("nst plan --json samples/quickstart.yaml", tmp_path))["name"] == "quickstart"
