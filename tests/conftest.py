"""Fixtures of every test: sample data, a real S3 server, stores of all kinds, a proxy that breaks answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helper modules of the tests: faultproxy, simulator
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anybody imports torch: xdist workers share the cores
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # nobody waits for a metadata service that is not there

from faultproxy import FaultProxy, Rule

from tasks.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and weights, which the project does not ship."""
    path = Path(os.environ.get("NST_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no test data at {path}; set NST_TEST_DATA")
    return path


@dataclass(frozen=True)
class S3Server:
    """A running S3 server."""

    url: str
    environment: dict[str, str] = field(repr=False)

    def bucket(self) -> str:
        """Return the URI of a new bucket."""
        name = f"nst-{uuid.uuid4().hex[:12]}"
        self._client.create_bucket(Bucket=name)
        return f"s3://{name}"

    @cached_property
    def _client(self) -> Any:
        import botocore.session

        return botocore.session.Session().create_client("s3", endpoint_url=self.url)


@contextmanager
def moto_server() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(ROOT / "tests/s3server.py"), str(port)]
    small_pages = os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": "40"}  # so that listings of tests have several pages
    with subprocess.Popen(command, env=small_pages, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"{url}/moto-api/", timeout=5):
                        break
                except (urllib.error.URLError, ConnectionError):
                    if server.poll() is not None:
                        pytest.fail(f"moto's server ended with {server.returncode}; is moto[server,s3] installed?")
                    time.sleep(0.05)
            yield url
        finally:
            server.kill()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server; the environment points every client (s3fs, pyarrow, duckdb) at it from now on.

    It is moto's, in a process of its own, with correct conditional writes. NST_TEST_S3_ENDPOINT names another one
    (Ceph, Swift, a cloud), with the credentials of the environment.
    """
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        url = os.environ.get("NST_TEST_S3_ENDPOINT")
        names = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        if not url:
            url = stack.enter_context(moto_server())
            names |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}
            names |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                patch.delenv(name, raising=False)
        names |= {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url}
        for name, value in names.items():
            patch.setenv(name, value)
        yield S3Server(url, names)


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store, once of each kind; `@pytest.mark.parametrize("store", ["s3"], indirect=True)` picks."""
    if request.param == "local":
        return open_store(tmp_path / "root")
    if request.param == "memory":
        return open_store(f"memory://{uuid.uuid4().hex}/root")
    return open_store(f"{request.getfixturevalue('s3').bucket()}/root")


@pytest.fixture
def fault_proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FaultProxy]]:
    """Make a proxy before the S3 server that breaks what its rules name, and point the environment at it."""
    running: list[FaultProxy] = []

    def start(*rules: Rule) -> FaultProxy:
        proxy = FaultProxy(s3.url, rules)
        running.append(proxy)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        return proxy

    yield start
    for proxy in running:
        proxy.close()
