"""Prefect's client in this process: where it sends, what it imports, what it logs, how its threads end."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nst.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prefect.client.orchestration import SyncPrefectClient

    from tasks.prefect.process import ServerProcess

log = logging.getLogger("nst.prefect")

_PROXIES = [name for kind in ("ALL", "HTTP", "HTTPS") for name in (f"{kind}_PROXY", f"{kind.lower()}_proxy")]


def to_loopback(*, private: bool) -> dict[str, str | None]:
    """Return the variables of the environment that keep loopback out of every proxy; None for those to be removed.

    Args:
        private: Whether the server lies on loopback: the client fails at a proxy of a kind that it does not speak.
    """
    kept = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    value = ",".join([*filter(None, kept), "127.0.0.1", "localhost"])
    socks = [name for name in _PROXIES if (os.environ.get(name) or "").lower().startswith("socks")] if private else []
    return {"no_proxy": value, "NO_PROXY": value, **dict.fromkeys(socks)}


@contextlib.contextmanager
def client_settings(api_url: str, more: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Point the Prefect client of this process, in all threads, to the server; log only warnings."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging
    from prefect.settings import temporary_settings

    def refresh() -> None:
        # Prefect read the environment when it was imported; its own threads see only these global settings.
        refresh_global_settings_context()
        setup_logging()
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).addFilter(_is_no_stop)

    level = os.environ.get("PREFECT_LOGGING_LEVEL", "WARNING")
    with contextlib.ExitStack() as stack:
        stack.callback(refresh)
        stack.enter_context(environment({"PREFECT_API_URL": api_url, "PREFECT_LOGGING_LEVEL": level}))
        refresh()
        # Settings of an enclosing context would win over the global ones.
        stack.enter_context(temporary_settings({"api.url": api_url, "logging.level": level, **more}))
        yield


def import_what_a_run_needs() -> None:
    """Import in a second or two, in which the server starts, what the first flow run would import otherwise."""
    import fastapi.encoders  # noqa: F401
    import prefect.client.orchestration
    import prefect.events.worker
    import prefect.flow_engine
    import prefect.task_engine
    import prefect.utilities.visualization  # noqa: F401


@contextlib.contextmanager
def quiet_when_lost(process: ServerProcess) -> Iterator[None]:
    """Say one line when the server dies inside this context, in place of Prefect's own lines for each record.

    One that does not answer for half a minute is ended, so that nothing waits for it.
    """
    ended = threading.Event()
    silenced: list[logging.Logger] = []

    def watch() -> None:
        how = process.end_when_silent()
        if not ended.is_set():
            names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "prefect"]
            silenced.extend(logger for logger in map(logging.getLogger, names) if not logger.disabled)
            for logger in silenced:
                logger.disabled = True
            log.warning(
                "the private Prefect server %s; the run goes on without its page (its log: %s)", how, process.log_path
            )

    threading.Thread(target=watch, daemon=True, name="server-watch").start()
    try:
        yield
    finally:
        ended.set()
        for logger in silenced:
            logger.disabled = False


def end_client_services(*, discard: bool) -> None:
    """End the client's threads that send events and logs, which would go on sending to a server that has stopped.

    Args:
        discard: Whether to throw away what is queued or being sent, because the server died: each item would take
            seconds to fail.
    """
    from prefect.events.worker import EventsWorker

    if discard:
        services: Any = EventsWorker._instances  # type: ignore[misc]  # noqa: SLF001  # of all services
        for service in tuple(services.values()):
            with service._queue.mutex:  # noqa: SLF001
                service._queue.queue.clear()  # noqa: SLF001
            if (sending := service._task) is not None:  # noqa: SLF001
                service._loop.call_soon_threadsafe(sending.cancel)  # noqa: SLF001
    EventsWorker.drain_all(timeout=10)


@contextlib.contextmanager
def asked() -> Iterator[SyncPrefectClient]:
    """Ask the configured server inside this context.

    Raises:
        TransientError: It does not answer, or refuses.
    """
    from prefect.client.orchestration import get_client

    with refusals(), get_client(sync_client=True) as client:
        yield client


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what a client of Prefect raises of its server, and nothing else, into one error of ours.

    Raises:
        TransientError: The server does not answer, or refuses.
    """
    import httpx
    from prefect.exceptions import PrefectException

    try:
        yield
    except (httpx.HTTPError, PrefectException, OSError) as error:
        raise TransientError(f"the Prefect server does not do what it is asked: {error!r}") from error


@contextlib.contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Give environment variables other values inside of the context; None removes one."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _is_no_stop(record: logging.LogRecord) -> bool:
    """Return whether a line of Prefect's log is about something else than a stop, which Prefect logs as an error."""
    return "Finished in state Cancelled" not in record.getMessage()
