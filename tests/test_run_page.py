"""The page of a run: its address is said, no proxy or foreign file is in its way, and it can be looked at later."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
import warm_prefect

from nst.pictures.images import encode
from nst.records import OutputFormat

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect")]

MANIFEST = """\
name: one
contents: content.png
styles: style.png
method: {name: gatys, size: 32, steps: 2, content_layers: [relu1_1], style_layers: [relu1_1],
         backbone: {name: vgg16, weights: random}}
"""


def ask(page, password, path, body=None):
    """Ask the server of a page, as the page does."""
    origin = re.match(r"http://127\.0\.0\.1:\d+", page)[0]
    request = urllib.request.Request(f"{origin}/api{path}", data=body, headers={"Content-Type": "application/json"})
    request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        return json.loads(response.read())


def test_a_run_tells_its_page_and_past_runs_can_be_looked_at(tmp_path, migrated_state):
    shutil.copytree(migrated_state, tmp_path / "state")
    rng = np.random.default_rng(0)
    for name in ("content", "style"):
        array = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(5, 0).repeat(5, 1)
        (tmp_path / f"{name}.png").write_bytes(encode(array, OutputFormat(), {}))
    (tmp_path / "one.yaml").write_text(MANIFEST)
    for name in ("tasks", "prefect", "uvicorn"):  # in the working folder: nobody may import them
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file in the working folder was imported')")
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    nowhere |= dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "XDG_STATE_HOME": str(tmp_path / "state")}
    nst = [sys.executable, "-P", "-m", "flows"]

    done = subprocess.run(
        [*nst, "run", "one.yaml"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second, *more = done.stderr.splitlines()
    assert first == "reading and planning one.yaml"
    assert second.startswith("starting workers on")
    page = r"page of the run: http://127\.0\.0\.1:\d+/runs/flow-run/(\S+)  password: (nst:\S+)"
    (told,) = filter(None, (re.fullmatch(page, line) for line in more))

    with subprocess.Popen(
        [*nst, "runs"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as runs:
        line = next(line for line in runs.stdout if line.startswith("page of past runs: "))
        page, password = re.fullmatch(r"page of past runs: (\S+)  password: (\S+)\n", line).groups()
        assert password != told[2]
        assert ask(page, password, f"/flow_runs/{told[1]}")["state_type"] == "COMPLETED"
        assert "one-contact-sheet" in {artifact["key"] for artifact in ask(page, password, "/artifacts/filter", b"{}")}
        runs.send_signal(signal.SIGINT)
        _, said = runs.communicate(timeout=200)
    assert runs.returncode == 0, said

    none = warm_prefect.start("runs", "--database", "7", cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state")).ended()
    assert none.returncode == 2
    assert "runs-7.db" in none.stderr
