"""What needs no healthy server; `test_prefect_engine.py` starts a real one."""

from __future__ import annotations

import contextlib
import http.server
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from nst.errors import UserError
from tasks.prefect import process as prefect_process
from tasks.prefect.page import PrefectPage
from tasks.prefect.process import RECORDS_IN_BATCHES, ServerProcess, call
from tasks.prefect.server import Server, default_state_dir, private_server, starting_server


def test_runs_at_one_time_never_share_a_database(tmp_path):
    first, first_lock = prefect_process._free_database(tmp_path)
    second, second_lock = prefect_process._free_database(tmp_path)
    assert first != second
    first_lock.close()
    again, again_lock = prefect_process._free_database(tmp_path)
    assert again == first
    second_lock.close()
    again_lock.close()


def test_the_recorder_of_a_server_sleeps_between_two_looks():
    """Prefect cuts its interval off to whole seconds: of half a second it makes none, and a loop that takes a core."""
    from prefect.server.services import task_run_recorder

    assert "flush_every=int(" in inspect.getsource(task_run_recorder), "still so; else the interval may be shorter"
    assert int(float(RECORDS_IN_BATCHES["PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL"])) >= 1


def test_the_state_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state_dir() == tmp_path / "nst" / "prefect"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    assert default_state_dir() == Path.home() / ".local" / "state" / "nst" / "prefect"


def test_a_state_folder_that_cannot_be_used_is_the_users_business(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="state folder") as caught:
        prefect_process.start(tmp_path / "file" / "below")
    assert "XDG_STATE_HOME" in caught.value.hint


def test_a_server_that_does_not_answer_in_time_is_stopped(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with (
        pytest.raises(UserError, match=r"did not answer within 0\.1 s") as caught,
        starting_server(tmp_path) as starting,
        private_server(starting, start_deadline_s=0.1),
    ):
        pytest.fail("entered")
    assert "--inline" in caught.value.hint
    _, lock = prefect_process._free_database(tmp_path)
    assert Path(lock.name).name == "runs-0.lock"  # the server is gone, its database is free again
    lock.close()


def test_a_server_that_ends_shows_its_last_words(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdin=subprocess.PIPE)
    log = tmp_path / "server.log"
    log.write_text("\n".join(["old"] * 40 + ["no module named fastapi"]))
    server = prefect_process.ServerProcess("http://127.0.0.1:9/api", log, process, "nst:x")
    with pytest.raises(UserError, match=r"(?s)ended with code 3.*no module named fastapi") as caught:
        server.wait_until_healthy(20)
    assert str(caught.value).count("old") < 40
    server.stop()


def test_a_configured_server_that_does_not_answer_is_the_users_business(tmp_path, monkeypatch):
    from prefect.settings import temporary_settings

    url = "http://127.0.0.1:9/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    unreachable = pytest.raises(UserError, match="does not answer")
    with (
        temporary_settings({"api.url": url}),
        unreachable as caught,
        starting_server(tmp_path) as starting,
        private_server(starting),
    ):
        pytest.fail("entered")
    assert "unset PREFECT_API_URL" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_the_server_dies_with_its_killed_owner(tmp_path):
    """Killed while the server starts, which costs no second start; a healthy one stops by the same pipe."""
    code = (
        "import sys, time; from pathlib import Path; from tasks.prefect.process import start;"
        "s = start(Path(sys.argv[1])); print(s.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        pid = int(owner.stdout.readline())
        time.sleep(0.5)
        os.kill(pid, 0)
        assert os.getsid(pid) == pid  # a Control-C in the terminal of its owner does not reach it
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the server outlived its owner")


@contextlib.contextmanager
def api(counts):
    """A server whose count of task runs takes these values, the last one for ever."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            value = counts.pop(0) if len(counts) > 1 else counts[0]
            self.send_response(200 if value is not None else 503)
            self.end_headers()
            self.wfile.write(str(value).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def test_draining_waits_as_long_as_records_arrive():
    with api([0, 3, 3, 7, 10]) as url:
        assert Server(url, private=True).drained("id", 10, stall_s=5)


def test_draining_gives_up_on_records_that_do_not_arrive():
    with api([0, 7]) as url:
        assert not Server(url, private=True).drained("id", 10, stall_s=0.3)


def test_an_error_answer_is_an_error():
    with api([None]) as url, pytest.raises(http.client.HTTPException, match="503"):
        call(url, "POST", "/task_runs/count", {})


@pytest.fixture
def sleeper(monkeypatch):
    """A process that is taken for the private server of this one."""
    with subprocess.Popen(["sleep", "600"]) as process:
        server = ServerProcess("http://127.0.0.1:9/api", Path("log"), process, "")
        monkeypatch.setattr("tasks.prefect.server._current", Server(server.api_url, private=True, process=server))
        yield process
        process.kill()


def page_of(answers):
    """Return a page whose server answers by calling these one after the other, and the list of those called."""
    asked = []

    def create(_):
        asked.append(answers[len(asked)])
        return asked[-1]()

    return PrefectPage(SimpleNamespace(create_artifact=create), uuid.uuid4(), "page"), asked


def test_a_server_that_dies_while_a_page_is_written_is_asked_no_more(sleeper, monkeypatch, caplog):
    monkeypatch.setattr("tasks.prefect.page._PAUSES_S", (3600.0, 3600.0))  # which its end cuts short

    def die():
        sleeper.kill()
        raise OSError("connection reset")

    page, asked = page_of([die, die, die])
    page.link("file:///pictures")
    page.link("file:///pictures")
    assert asked == [die]
    assert caplog.text == ""


def test_a_page_is_written_by_asking_again_a_server_that_lives(sleeper, monkeypatch, caplog):
    monkeypatch.setattr("tasks.prefect.page._PAUSES_S", (0.0, 0.0))
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

    own = PREFECT_CLIENT_MAX_RETRIES.value()
    retries = []

    def busy():
        retries.append(PREFECT_CLIENT_MAX_RETRIES.value())
        raise OSError("database is locked")

    page, asked = page_of([busy, busy, lambda: SimpleNamespace(id=1), busy, busy, busy])
    page.link("file:///pictures")
    assert (len(asked), caplog.text) == (3, "")
    page.link("file:///pictures")
    page.link("file:///pictures")
    assert len(asked) == 6
    assert caplog.text.count("Prefect's page is no longer updated") == 1
    assert set(retries) == {0}, "Prefect itself would wait in vain for a server that dies"
    assert PREFECT_CLIENT_MAX_RETRIES.value() == own
