"""What docs/scaling.md tells users to copy: the loops of `ssh`, the script of Slurm, the unit of systemd.

Each is run where that is possible on one machine: the loops by real servers of ssh, the script in bash. Not tried: a
cluster of Slurm, a manager of systemd, a second machine. Containers are in test_containers.py, and several processes on
one machine in test_work.py and test_sharing.py.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import command_lines
import pytest
import warm
from orders import planned
from sweeps import TINY_METHOD, write_pictures

from flows.command.leaving import CHANGE_SOMETHING, INTERRUPTED
from flows.stop import GRACE_S
from tasks.planning.stored import submit
from tasks.root import open_root

ROOT = Path(__file__).parent.parent
LAUNCHERS = ROOT / "docs" / "launchers"
DEADLINE_S = 240
TALKATIVE = """\
import contextlib, os
import flows.command.progress as shown
from flows.__main__ import main

if __name__ == "__main__":
    shown._LOG_INTERVAL_S = 0.5
    with contextlib.ExitStack() as stack:
        if "NST_TEST_WARM" in os.environ:
            import warm

            warm.join(os.environ["NST_TEST_WARM"])
            stack.enter_context(warm.warm_workers())
        main()
"""
with_real_workers = pytest.mark.parametrize("path", ["real workers"], indirect=True)
"""For tests of what becomes of workers and of the files that they inherit; those of others are forked."""

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
needs_sshd = pytest.mark.skipif(
    not (SSHD and shutil.which("ssh")), reason="no sshd here: apt-get install openssh-server"
)


def open_sweep(folder, cells, steps=2):
    """Submit a sweep that nobody works on yet, and return the path of its root."""
    write_pictures(folder)
    method = {**TINY_METHOD, "steps": steps, "init": "noise", "pyramid": {"levels": 1}}
    manifest = {"name": "open", "contents": "cat.png", "styles": "waves.png", "method": method, "batch_size": 1,
                "sweep": {"seed": {"count": cells}}, "preview_every": 0}  # fmt: skip
    (folder / "m.yaml").write_text(json.dumps(manifest))
    submit(planned(folder / "m.yaml", folder / "root"))
    return folder / "root"


def results(root):
    return len(open_root(str(root)).catalog.read("results", ["cell_id"]))


def plans(root):
    return list((root / "state/plans").glob("*.json"))


def until(condition, said=lambda: ""):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)


def events(log):
    """Return the events in what a participant has written so far."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@pytest.fixture
def path(tmp_path, request):
    """A folder with a command `nst`, which writes its number and its threads into files beside it.

    It says twice a second how far it is: who says nothing does not learn that nobody hears.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "talkative.py").write_text(TALKATIVE)
    given = f"PYTHONPATH={ROOT}:{ROOT}/tests"
    if not hasattr(request, "param"):
        given += f" NST_TEST_WARM={warm.address()}"
    lines = ["#!/bin/sh", f"echo $$ >>{folder}/pids", f"echo $OMP_NUM_THREADS >{folder}/threads",
             f'{given} exec {sys.executable} -P {folder}/talkative.py "$@"']  # fmt: skip
    (folder / "nst").write_text("\n".join(lines))
    (folder / "nst").chmod(0o755)
    yield folder
    for pid in pids(folder):
        with suppress(OSError):
            if (
                str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
            ):  # or it has ended, and this is another
                os.kill(pid, signal.SIGKILL)


def pids(path):
    file = path / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def wait_for_the_end_of(pid):
    with suppress(ProcessLookupError):
        end = os.pidfd_open(pid)
        assert select.select([end], [], [], DEADLINE_S)[0], "it has not ended"
        os.close(end)


# ---- ssh ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def hosts(tmp_path, path):
    """Two hosts `gpu1` and `gpu2`: servers of ssh on this machine, each with its own home; and an `ssh` for them."""
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)]
        subprocess.run(command, check=True)
    if os.geteuid() == 0:  # a server of root wants this folder, which the package's service makes when it starts
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with ExitStack() as stack:
        client = [f"IdentityFile {tmp_path}/user", "StrictHostKeyChecking no", "UserKnownHostsFile /dev/null",
                  "IdentitiesOnly yes", "LogLevel ERROR", "BatchMode yes"]  # fmt: skip
        for name in ("gpu1", "gpu2"):
            port = stack.enter_context(server(tmp_path, path, name))
            client += [f"Host {name}", "HostName 127.0.0.1", f"Port {port}"]
        (tmp_path / "client").write_text("\n".join(client))
        (path / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/client "$@"')
        (path / "ssh").chmod(0o755)
        yield {name: tmp_path / name for name in ("gpu1", "gpu2")}


@contextmanager
def server(folder, path, name):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    home = folder / name
    home.mkdir()
    as_there = f'cd {home} && PATH={path}:$PATH OMP_NUM_THREADS=1 exec bash -c "$SSH_ORIGINAL_COMMAND"'
    lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", "PidFile none", "StrictModes no",
             f"AuthorizedKeysFile {folder}/user.pub", "UsePAM no", "PermitRootLogin yes",
             "PasswordAuthentication no", f"ForceCommand {as_there}"]  # fmt: skip
    (folder / f"{name}.conf").write_text("\n".join(lines))
    command = [SSHD, "-D", "-e", "-f", str(folder / f"{name}.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            said = running.stderr.readline()
            assert "listening" in said, said
            yield port
        finally:
            running.terminate()
            running.communicate()


def documented(part, number, root):
    """Return a block of commands of a part of docs/scaling.md, for a root of this machine."""
    text = (ROOT / "docs" / "scaling.md").read_text().split(f"\n## {part}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert "s3://lab/nst" in blocks[number]
    return blocks[number].replace("s3://lab/nst", str(root))


def shell(commands, folder, path):
    """Start commands in bash, in a folder, with `nst` and `ssh` of the test."""
    environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.Popen(["bash", "-c", commands], cwd=folder, env=environment, stdin=subprocess.DEVNULL)


@needs_sshd
@pytest.mark.slow
def test_two_hosts_do_a_sweep_by_the_first_loop_of_ssh(tmp_path, path, hosts):
    root = open_sweep(tmp_path, cells := 12)
    assert shell(documented("ssh", 0, root), tmp_path, path).wait(DEADLINE_S) == 0
    logs = [(tmp_path / f"{name}.log").read_text() for name in hosts]
    done = [re.search(r"\): (\d+) done in", log) for log in logs]
    assert sum(int(found[1]) for found in done if found) == cells, logs
    assert all(found or "nothing is open" in log for found, log in zip(done, logs, strict=True)), logs
    assert (results(root), plans(root)) == (cells, [])


@needs_sshd
@pytest.mark.slow
@with_real_workers
def test_a_participant_ends_with_its_connection_and_harms_nothing(tmp_path, path, hosts):
    root = open_sweep(tmp_path, 500, steps=100)
    one_host = documented("ssh", 0, root).replace("gpu1 gpu2", "gpu1")
    commands = one_host.replace("ssh -n", "exec ssh -n").replace("wait", "echo $! >ssh.pid; wait")
    running = shell(commands, tmp_path, path)
    log = tmp_path / "gpu1.log"
    until(lambda: list((root / "pictures").rglob("*.png")), log.read_text)
    os.kill(int((tmp_path / "ssh.pid").read_text()), signal.SIGKILL)
    running.wait(DEADLINE_S)
    (participant,) = pids(path)
    wait_for_the_end_of(participant)
    assert len(plans(root)) == 1, "it is left to others"


@needs_sshd
@pytest.mark.slow
@with_real_workers
def test_participants_of_the_second_loop_of_ssh_outlive_it_and_stop_cleanly(tmp_path, path, hosts):
    root = open_sweep(tmp_path, 500, steps=100)
    assert shell(documented("ssh", 1, root), tmp_path, path).wait(DEADLINE_S) == 0
    logs = {name: home / "nst-work.log" for name, home in hosts.items()}
    until(lambda: all(any(line["event"] == "batch" for line in events(log)) for log in logs.values()))
    (stop,) = re.findall(r"`(ssh gpu1 '.*?')`", (ROOT / "docs" / "scaling.md").read_text())
    for name in hosts:
        assert shell(stop.replace("gpu1", name), tmp_path, path).wait(DEADLINE_S) == 0
    for pid in pids(path):
        wait_for_the_end_of(pid)
    told = [line for log in logs.values() for line in events(log)]
    assert [line["stopped"] for line in told if line["event"] == "sweep_ended"] == [True, True]
    assert results(root) >= sum(line["done"] for line in told if line["event"] == "batch")


# ---- Slurm --------------------------------------------------------------------------------------------------------
SBATCH = LAUNCHERS / "nst.sbatch"


def task(number, *arguments, cwd, path, **environment):
    """Start the script as Slurm starts a task of an array: not tried on a cluster."""
    given = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_CPUS_PER_TASK": "1"}
    there = {name: value for name, value in os.environ.items() if name not in {"NST_ROOT", "OMP_NUM_THREADS"}}
    environment = there | given | {"PATH": f"{path}:{os.environ['PATH']}"} | environment
    return subprocess.Popen(["bash", str(SBATCH), *arguments], cwd=cwd, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def test_slurm_reads_every_line_that_is_for_it():
    lines = SBATCH.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    asked = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert len(asked) > 5
    assert max(asked) < first, "sbatch reads no further than the first command"
    subprocess.run(["bash", "-n", str(SBATCH)], check=True)


@pytest.mark.slow
def test_two_tasks_divide_a_sweep(tmp_path, path):
    open_sweep(tmp_path, cells := 12)
    options = {"cwd": tmp_path, "path": path, "NST_ROOT": "root"}
    tasks = [task(number, "--sweep", "open", **options) for number in range(2)]
    said = [each.communicate(timeout=DEADLINE_S) for each in tasks]
    assert [each.returncode for each in tasks] == [0, 0], said
    lines = [json.loads(line) for out, _ in said for line in out.splitlines()]
    assert sum(line["done"] for line in lines if line["event"] == "batch") == cells, said
    assert results(tmp_path / "root") == cells
    assert (path / "threads").read_text().strip() == "1"


@pytest.mark.slow
def test_a_task_works_until_slurm_stops_it(tmp_path, path):
    root = open_sweep(tmp_path, 500, steps=100)
    running = task(0, cwd=tmp_path, path=path, NST_ROOT=str(root))
    line = next(line for line in map(json.loads, running.stdout) if line["event"] == "batch")
    running.send_signal(signal.SIGTERM)
    out, said = running.communicate(timeout=DEADLINE_S)
    assert running.returncode == INTERRUPTED, said
    assert [line["stopped"] for line in map(json.loads, out.splitlines()) if line["event"] == "sweep_ended"] == [True]
    assert results(root) >= line["done"]


def test_a_task_without_a_root_says_so(tmp_path, path):
    _, said = (running := task(0, cwd=tmp_path, path=path)).communicate(timeout=DEADLINE_S)
    assert running.returncode != 0
    assert "name the root" in said
    assert pids(path) == []


# ---- systemd ------------------------------------------------------------------------------------------------------
def verified(text, folder):
    """Return what systemd says to a unit, whose command is put where one exists."""
    unit = folder / "nst-work@.service"
    unit.write_text(text.replace("/opt/nst/bin/nst", sys.executable))
    return subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_understands_every_line_of_the_unit(tmp_path):
    text = (LAUNCHERS / "nst-work@.service").read_text()
    found = verified(text, tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "KilMode" in verified(text.replace("KillMode", "KilMode"), tmp_path).stderr


def test_the_unit_starts_nst_and_knows_how_it_ends():
    pairs = re.findall(r"^(\w+)=(.*)$", (LAUNCHERS / "nst-work@.service").read_text(), re.MULTILINE)
    unit = dict(pairs)
    command, *words = unit["ExecStart"].split()
    assert (Path(command).name, command_lines.parse(words)) == ("nst", "work")
    assert int(unit["TimeoutStopSec"]) > 2 * GRACE_S
    assert unit["SuccessExitStatus"] == str(INTERRUPTED)
    assert unit["RestartPreventExitStatus"] == str(CHANGE_SOMETHING)
    hiding = {"PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy", "MemoryDenyWriteExecute", "PrivateTmp"}
    assert hiding.isdisjoint(unit), "these hide GPUs or their locks, or keep torch from running"
