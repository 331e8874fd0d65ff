"""nst doctor: what a run would need."""

from __future__ import annotations

import socket
import sys

import pytest
from warm import nst

from tasks.doctor import examine
from tasks.store import open_store


def findings(root, subject):
    return [(found.level, found.text) for found in examine(root) if found.subject == subject]


def test_a_local_root_has_create_only_writes(tmp_path):
    levels = [level for level, _ in findings(str(tmp_path / "root"), "storage")]
    assert "bad" not in levels


@pytest.mark.parametrize("root", ["", "deep/er", "is"])
def test_a_root_is_examined_without_leaving_anything(tmp_path, root):
    (tmp_path / "is").mkdir()
    assert "bad" not in [level for level, _ in findings(str(tmp_path / root), "storage")]
    assert [path.name for path in tmp_path.rglob("*")] == ["is"]


def test_a_bucket_is_examined_without_leaving_anything(s3):
    root = f"{s3.bucket()}/root"
    ((level, _),) = findings(root, "storage")
    assert level == "ok"
    assert open_store(root).list("") == []


def test_a_root_that_is_a_file_is_bad(tmp_path):
    (tmp_path / "file").write_text("")
    assert [level for level, _ in findings(str(tmp_path / "file"), "storage")] == ["bad"]


def test_a_bucket_that_is_not_there_is_told(s3):
    (level, text), *_ = findings("s3://no-such-bucket-of-nst/root", "storage")
    assert level == "bad"
    assert "no-such-bucket-of-nst" in text


def test_a_prefect_server_that_does_not_answer_is_told(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        doctor = nst("doctor", "--root", tmp_path, PREFECT_API_URL=url)
    assert doctor.returncode == 1
    (line,) = [line for line in doctor.stdout.splitlines() if "server:" in line]
    assert line.startswith("bad")
    assert "--inline" in line


def test_missing_weights_are_a_note_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert {level for level, _ in findings(str(tmp_path), "weights")} == {"note"}
    assert all("weights: embedded" in text for _, text in findings(str(tmp_path), "weights"))
    (judge,) = [text for _, text in findings(str(tmp_path), "weights") if "squeezenet" in text]
    assert "nst judge SWEEP" in judge
    assert "--squeezenet FILE" in judge
    assert "squeezenet1_1-b8a52dc0.pth" in judge  # the name under which torchvision looks for it


def test_each_extra_is_there_or_has_the_line_that_installs_it(tmp_path, monkeypatch):
    pytest.importorskip("cv2", reason="needs the extra `video`")
    pytest.importorskip("av", reason="needs the extra `video`")
    assert [level for level, _ in findings(str(tmp_path), "extra video")] == ["ok"]
    for extra, module in (("video", "av"), ("video", "cv2"), ("judges", "lpips"), ("onnx", "onnx")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            ((level, text),) = findings(str(tmp_path), f"extra {extra}")
        assert level == "note"  # what needs no extra runs without it
        assert module in text
        assert text.endswith(f"pip install 'nst-batch[{extra}]'")
