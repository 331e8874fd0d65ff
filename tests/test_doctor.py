"""nst doctor: what a run would need."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from tasks.doctor import examine


def findings(root, subject):
    return [(found.level, found.text) for found in examine(root) if found.subject == subject]


def test_a_local_root_has_create_only_writes(tmp_path):
    levels = [level for level, _ in findings(str(tmp_path / "root"), "storage")]
    assert "bad" not in levels


def test_a_bucket_that_is_not_there_is_told(s3):
    (level, text), *_ = findings("s3://no-such-bucket-of-nst/root", "storage")
    assert level == "bad"
    assert "no-such-bucket-of-nst" in text


def test_a_prefect_server_that_does_not_answer_is_told(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        doctor = subprocess.run(
            [sys.executable, "-m", "flows", "doctor", "--root", str(tmp_path)],
            env={**os.environ, "PREFECT_API_URL": url}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert doctor.returncode == 1
    (line,) = [line for line in doctor.stdout.splitlines() if "server:" in line]
    assert line.startswith("bad")
    assert "--inline" in line


def test_missing_weights_are_a_note_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert {level for level, _ in findings(str(tmp_path), "weights")} == {"note"}
    assert all("random" in text for _, text in findings(str(tmp_path), "weights"))
