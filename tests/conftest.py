"""Which tests are quick, and the fixtures of every test: where losses compute, sample data, S3 servers, stores.

**Quick tests.** `make quick` runs the tests that carry the marker `quick`, and nobody writes that marker: it is put on
every test whose file imports none of `tasks`, `flows` and pandas, that takes no fixture of `COSTLY` (servers, stores,
torchvision), and that is not marked `slow` (more than half a second of processor time, or a few seconds with all of its
parameters), `process` (starts a process) or `proof`. Files that cannot have a quick test are then not even imported. A
quick test that starts a process nevertheless fails and says so. `make test` runs `make lint`, then all tests that are
not marked `proof`, the quick ones among them. `make proof` runs those too: they kill at random moments, are long, or
assert in more cases what another test asserts in one of each kind.

**In memory.** The folders of tests lie in memory where there is room: each write of an object waits for a disk twice,
and those of all tests did so for minutes. That nst asks the disk is asserted in test_store_durability.py, and a process
that is killed loses nothing of what it has written, there as here.

**The same always.** `make test` gives every run the same order of tests and Hypothesis the same examples, so that what
passes here passes there; `make proof`, which sets NST_SEED, draws new ones, ten times as many.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helper modules of the tests: cells, simulator, warm, ...
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anybody imports torch: xdist workers share the cores
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile nst, and each worker of xdist the tests
sys.dont_write_bytecode = False
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # nobody waits for a metadata service that is not there

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 2**30
"""A whole run leaves a few hundred megabytes, and a container may have as little as 64 there."""
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

hypothesis.settings.register_profile("same", derandomize=True, max_examples=40, deadline=None)
hypothesis.settings.register_profile("others", max_examples=400, deadline=None)
hypothesis.settings.load_profile("others" if "NST_SEED" in os.environ else "same")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import torch
    from faultproxy import FaultProxy, Rule

    from tasks.store import Store

ROOT = Path(__file__).parent.parent

BEYOND_NST = frozenset({"tasks", "flows", "pandas"})
COSTLY = frozenset({"s3", "store", "fault_proxy", "torchvision", "pymatting", "migrated_state"})
"""Fixtures that no quick test takes."""


# ---- quick tests --------------------------------------------------------------------------------------------------
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files unread that cannot have a quick test, where only those are asked for."""
    asked = config.option.markexpr == "quick" and collection_path.match("test_*.py")
    return True if asked and not is_of_nst_alone(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests."""
    for item in items:
        costly = COSTLY.intersection(getattr(item, "fixturenames", ()))
        marked = any(map(item.get_closest_marker, ("slow", "process", "proof")))
        if is_of_nst_alone(item.path) and not costly and not marked:
            item.add_marker("quick")


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what lives as long as the process: each full round takes a second."""
    gc.freeze()


@cache
def is_of_nst_alone(path: Path) -> bool:
    """Return whether a file of tests imports nothing of `tasks` and `flows`, on top or inside a function."""
    return BEYOND_NST.isdisjoint(imported_rooms(path))


def imported_rooms(path: Path) -> set[str]:
    """Return the top packages of all imports in a file, and in the helper modules beside it that it imports."""
    names = set(re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    beside = [path.parent / f"{name}.py" for name in names]
    return names.union(*(imported_rooms(file) for file in beside if file.is_file()))


@pytest.fixture(autouse=True)
def _quick_tests_start_no_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        pytest.fail("a quick test starts no process: mark this one with `process`")

    if request.node.get_closest_marker("quick"):
        monkeypatch.setattr(subprocess, "Popen", refused)


# ---- processes ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", autouse=True)
def _warm_workers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fork the workers of runs within this process from a warm one: see `warm.py`."""
    with ExitStack() as stack:
        if not is_of_nst_alone(request.path):
            from warm import warm_workers

            stack.enter_context(warm_workers())
        yield


# ---- where and in which numbers losses are computed ---------------------------------------------------------------
def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the tests of losses: `pytest tests/test_gram.py --device cuda --dtype float32`."""
    group = parser.getgroup("losses")
    group.addoption("--device", default="cpu", help="where the tests of losses compute: cpu, cuda, cuda:1, ...")
    group.addoption("--dtype", default="float64", choices=["float32", "float64"], help="type of their numbers")


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where a loss is computed, `--device`; without TF32, whose 10 bits of fraction are not those of `--dtype`.

    torch allows TF32 in convolutions unless told otherwise, and in matrix products only when told to;
    `nst.losses.objective.arithmetic` forbids both with `precision: float32`, and so does this fixture.
    """
    import torch

    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return torch.device(request.config.getoption("--device"))


@pytest.fixture
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """The type of the numbers that a loss is computed in, `--dtype`."""
    import torch

    return getattr(torch, request.config.getoption("--dtype"))


@pytest.fixture
def rounding(dtype: torch.dtype) -> float:
    """Relative error that rounding may make in a short computation: 2e-13 in float64, 1e-4 in float32."""
    import torch

    return 1000 * torch.finfo(dtype).eps


@pytest.fixture
def halves(device: torch.device, dtype: torch.dtype) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """A function of a height, a width and a number of columns: the shares of a left region and of the rest."""

    import torch

    def of(height: int, width: int, split: int) -> tuple[torch.Tensor, torch.Tensor]:
        left = torch.zeros(height, width, device=device, dtype=dtype)
        left[:, :split] = 1.0
        return left, 1.0 - left

    return of


@pytest.fixture
def draw(device: torch.device, dtype: torch.dtype) -> Callable[..., torch.Tensor]:
    """Return a function that draws normal numbers: by shape and seed the same in every type and on every device."""
    import torch

    def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
        numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return numbers.to(device, dtype)

    return drawn


# ---- sample data, servers and stores ------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and weights, which the project does not ship."""
    path = Path(os.environ.get("NST_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no test data at {path}; set NST_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """The package torchvision, whose import takes seconds."""
    import torchvision

    return torchvision


@pytest.fixture(scope="session")
def pymatting() -> ModuleType:
    """The package pymatting, whose import takes seconds, and sets the number of threads of torch for the process.

    Its loops are run by Python: numba would compile them for most of a minute, for pictures of a few pixels.
    """
    import torch

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        import pymatting

    torch.set_num_threads(threads)  # results of other tests depend on it by rounding
    return pymatting


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

    def root(self, path: str = "") -> str:
        """Return the URI of a root in a new bucket, which remembers what a probe of this server has shown."""
        from tasks.store import open_store
        from tasks.store.probe import remember

        root = f"{self.bucket()}/{path}".rstrip("/")
        if self._keeps_create_only:
            remember(open_store(root))
        return root

    @cached_property
    def _keeps_create_only(self) -> bool:
        from tasks.store import open_store, probe

        return probe(open_store(self.bucket())).create_only

    @cached_property
    def _client(self) -> Any:
        import botocore.session

        return botocore.session.Session().create_client("s3", endpoint_url=self.url)


@contextmanager
def moto_server(page_size: int = 40) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(ROOT / "tests/s3server.py"), str(port)]
    small_pages = os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": str(page_size)}  # listings of tests have several pages
    with subprocess.Popen(command, env=small_pages, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"{url}/moto-api/", timeout=60):
                        break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
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


@pytest.fixture(scope="session")
def migrated_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder as runs under Prefect leave it, to be copied: the tables of a new one take eight seconds."""
    from warm_prefect import warm_servers

    from tasks.prefect.process import start

    folder = tmp_path_factory.mktemp("migrated") / "nst/prefect"
    with warm_servers():
        server = start(folder)
    try:
        server.wait_until_healthy(200)
    finally:
        server.stop()
    return folder.parent.parent


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store, once of each kind; `@pytest.mark.parametrize("store", ["s3"], indirect=True)` picks."""
    from tasks.store import open_store

    if request.param == "local":
        return open_store(tmp_path / "root")
    if request.param == "memory":
        return open_store(f"memory://{uuid.uuid4().hex}/root")
    return open_store(f"{request.getfixturevalue('s3').bucket()}/root")


@pytest.fixture
def fault_proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FaultProxy]]:
    """Make a proxy before the S3 server that breaks what its rules name, and point the environment at it."""
    from faultproxy import FaultProxy

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
