"""Examines what a run needs: Python, packages, devices, weights, the storage of the root, Prefect."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Literal

from nst.config.architectures import ARCHITECTURES
from nst.errors import NstError, UserError
from tasks.devices import find_devices
from tasks.inputs.weights import cached_weights
from tasks.models.backbone_weights import cache_fault
from tasks.prefect.server import check_configured, configured_url
from tasks.prefect.standing import is_alive, standing
from tasks.store import Patience, open_store
from tasks.store.local import LocalStore
from tasks.store.probe import StoreCapabilities, probe
from tasks.work.locks import lock_of
from tasks.work.self_test import device_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.prefect.standing import Standing

_JUDGE: Final = "squeezenet"
"""The backbone through which pictures are judged (`tasks.models.judges`)."""

_EXTRAS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "video": ("contents that are clips", ("av", "cv2")),
    "judges": ("the column lpips_content", ("lpips",)),
    "onnx": ("ONNX graphs of exported models", ("onnx", "onnxscript")),
    "ray": ("nst run --engine ray", ("ray",)),
    "kubernetes": ("a worker of Prefect that makes jobs of Kubernetes", ("prefect_kubernetes",)),
}
"""For each extra what needs it, and the modules that it brings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing that a run needs. `bad` prevents runs, `note` is worth knowing."""

    level: Literal["ok", "note", "bad"]
    subject: str
    text: str


def examine(root: str) -> Iterator[Finding]:
    """Yield what is found, in the order in which a run needs it."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield from _packages()
    yield from _extras()
    yield from _devices()
    yield from _weights()
    yield from _storage(root)
    yield from _server()


def _packages() -> Iterator[Finding]:
    for name in ("nst-batch", "torch", "torchvision", "prefect", "pyarrow", "s3fs"):
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("bad", name, "not installed; make install, or pip install -e .")


def _extras() -> Iterator[Finding]:
    """Say which extras are there; imported, since a package may lack a library of the system."""
    for extra, (purpose, modules) in _EXTRAS.items():
        faults = []
        for name in modules:
            try:
                import_module(name)
            except ImportError as error:
                faults.append(str(error))
        subject, needed = f"extra {extra}", f"it is needed for {purpose}"
        if faults:
            text = f"not usable: {'; '.join(faults)}; {needed}: pip install 'nst-batch[{extra}]'"
            yield Finding("note", subject, text)
        else:
            yield Finding("ok", subject, f"{' and '.join(modules)} can be imported; {needed}")


def _devices() -> Iterator[Finding]:
    devices = find_devices()
    import torch

    for position, device in enumerate(devices):
        is_gpu = device.startswith("cuda")
        if is_gpu and not torch.cuda.is_available():
            text = f"{device} exists but torch {torch.__version__} cannot use it; install a CUDA build of torch"
            yield Finding("bad", "device", text)
            continue
        if fault := device_fault(f"cuda:{position}" if is_gpu else device):
            yield Finding("bad", "device", f"{device} fails its self-test: {fault}")
            continue
        lock = lock_of(device)
        if lock and (holder := lock.holder()):
            yield Finding("note", "device", f"{device} is used by {holder}; another run waits until that ends")
        if is_gpu:
            properties = torch.cuda.get_device_properties(position)
            yield Finding("ok", "device", f"{device}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
        else:
            yield Finding("ok", "device", f"{device}: {os.cpu_count()} cores, {torch.get_num_threads()} threads")
            yield Finding("note", "device", "no GPU found; a 512 px cell of 300 steps takes minutes on a CPU")


def _weights() -> Iterator[Finding]:
    for name, known in ARCHITECTURES.items():
        path = cached_weights(name)
        if path.is_file() and (fault := cache_fault(name)):
            yield Finding("bad", "weights", f"{fault}; delete the file, and it is downloaded again")
        elif path.is_file():
            yield Finding("ok", "weights", f"torchvision's {name} in {path.parent}")
        else:
            text = f"torchvision's {name} is not in {path.parent}: it is downloaded at first use ({known.megabytes} MB)"
            offline = "offline, use backbone: {weights: embedded}"
            if name == _JUDGE:
                offline = (
                    "with it runs record the scores of judges; `nst judge SWEEP` fetches it and writes them for what "
                    "is done. Offline, name a file with `nst judge SWEEP --squeezenet FILE`, or copy torchvision's "
                    f"{path.name} there; for methods use backbone: {{weights: embedded}}"
                )
            yield Finding("note", "weights", f"{text}; {offline}")


def _storage(root: str) -> Iterator[Finding]:
    try:
        store = open_store(root, Patience(deadline=15))
        found = probe(store) if not isinstance(store, LocalStore) else _probe_folder(store.root)
    except (NstError, OSError) as error:
        yield Finding("bad", "storage", str(error))
        return
    text = f"{store.uri}: {found.detail}"
    yield Finding("ok" if found.create_only else "note", "storage", text)
    if isinstance(store, LocalStore):
        free = shutil.disk_usage(_existing(store.root)).free
        yield Finding("ok" if free > 2**30 else "note", "storage", f"{free / 2**30:.1f} GiB free")


def _probe_folder(folder: str) -> StoreCapabilities:
    """Probe the file system of a folder, which need not exist yet, and leave nothing there."""
    with tempfile.TemporaryDirectory(prefix=".nst-doctor-", dir=_existing(folder)) as made:
        return probe(LocalStore(made))


def _existing(folder: str) -> str:
    """Return a path, or the nearest one above it that exists."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120
    return folder


def _server() -> Iterator[Finding]:
    url = configured_url()
    stack = standing()
    if not url and stack:
        yield from _stack(stack)
    elif not url:
        text = (
            "PREFECT_API_URL is not set: `nst run` starts a private Prefect server; `nst up` brings up a standing one"
        )
        yield Finding("ok", "server", text)
    else:
        try:
            check_configured(url)
        except UserError as error:
            yield Finding("bad", "server", f"{error}; or use --inline")
        else:
            yield Finding("ok", "server", "the Prefect server of PREFECT_API_URL answers")


def _stack(stack: Standing) -> Iterator[Finding]:
    """Say which parts of the stack of `nst up` are there."""
    mend = f"nst up --root {stack.root} brings up what is missing, nst down ends the rest"
    if not stack.answers:
        yield Finding("bad", "server", f"the server that nst up started at {stack.page} does not answer; {mend}")
        return
    yield Finding("ok", "server", f"nst up has one at {stack.page}, whose nightly runs work on {stack.root}")
    for name, process in sorted(stack.processes.items()):
        if is_alive(process):
            yield Finding("ok", "worker", f"{name} runs")
        else:
            yield Finding("bad", "worker", f"{name} is gone; {mend}")
