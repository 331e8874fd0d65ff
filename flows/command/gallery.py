"""`nst gallery`: writes the page of one sweep, or one page of several, opens it, and serves it live."""

from __future__ import annotations

import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.stop import stop_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.pages.choices import Choices
    from tasks.pages.serving import PageServer
    from tasks.root import Root
    from tasks.status import SweepStatus

_EVERY_S: Final = 5.0
_SHARE: Final = 0.2
"""Of its time, what following a root may take."""

_STOP_WITHIN_S: Final = 0.1
"""How often the server looks whether it is to stop."""

_PATIENCE_S: Final = 5.0
"""How long a page that is served waits for a store that does not answer: what is sent is sent again by the page."""

out = Terminal()
err = Terminal(stderr=True)


def gallery(
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(metavar="SWEEP", help="Names of sweeps, or the beginnings of their ids; by default all."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page to this machine and follow the root, until Control-C.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to serve on; by default a free one.")] = 0,
    root: RootOption = "out",
) -> None:
    """Write the page of a sweep again, or one page of several sweeps.

    On the page of several sweeps, the sweep is one of the axes. A page in a folder opens in a browser as it is; one in
    a bucket is looked at with --serve. The page of a sweep that runs is written by its run, and is left alone.
    """
    from tasks.root import open_root

    opened = open_root(root, probed=True, must_exist=True)
    names = sweeps or []
    found = _chosen(opened, names)
    if serve:
        _serve(root, opened, names, found, port=port, shown=open_)
        return
    uri = _write(opened, found, names)
    out.say(f"page: {uri}")
    if open_:
        webbrowser.open(Path(uri.removeprefix("file://")).as_uri() if uri.startswith("file://") else uri)


def _serve(
    root: str, opened: Root, names: Sequence[str], found: Sequence[SweepStatus], *, port: int, shown: bool
) -> None:
    """Write a page and serve it until somebody stops; the port is bound first, so that one in use changes nothing.

    Args:
        root: The root as the user wrote it.
        opened: The same.
        names: Names of sweeps as the user wrote them; none for all.
        found: The sweeps that they mean.
        port: 0 for any free one.
        shown: Whether a browser is opened.

    Raises:
        UserError: The port is taken.
    """
    from tasks.pages.choices import Choices
    from tasks.pages.serving import PageServer

    served = _impatient(root, single_publisher=opened.single_publisher)
    stopping, choices = threading.Event(), Choices(served.catalog)
    with PageServer(served.store, port=port, choices=choices) as server:
        server.told = err.say
        seen = _seen(opened, found)
        uri = _write(opened, found, names, run=_moment())
        server.home = uri.removeprefix(f"{opened.uri}/")
        out.say(f"page: {uri}")
        with stop_signals(stopping):
            threading.Thread(target=server.serve_forever, args=(_STOP_WITHIN_S,), daemon=True, name="pages").start()
            out.say(f"{server.link}  until Control-C")
            if shown:
                webbrowser.open(server.link)
            answering = _follow(root, names, seen, server, stopping)
            server.shutdown()
            _publish(choices, told=answering)


def _chosen(root: Root, names: Sequence[str], *, told: bool = True) -> list[SweepStatus]:
    """Return the sweeps that are named, the newest of each name; all of them, the oldest first, if none is.

    Args:
        root: The root.
        names: Names of sweeps, or the beginnings of their ids.
        told: Whether to say which of several sweeps of one name is taken.

    Raises:
        InputError: There is no such sweep, or no sweep at all.
    """
    from nst.errors import InputError
    from tasks.status import find_sweeps, sweep_statuses

    if not names:
        if statuses := sweep_statuses(root):
            return statuses[::-1]
        raise InputError(f"no sweep has been submitted to {root.uri}")
    found = {}
    for name in names:
        newest, *others = find_sweeps(root, name)
        if others and told:
            ids = ", ".join(status.sweep_id[:8] for status in others)
            err.say(f"taking {newest.sweep_id[:8]}, the newest sweep called {name}; others: {ids}")
        found[newest.sweep_id] = newest
    return list(found.values())


def _write(root: Root, sweeps: Sequence[SweepStatus], names: Sequence[str], run: str = "") -> str:
    """Write the page of the sweeps and return its URI.

    Args:
        root: The root.
        sweeps: At least one.
        names: Names of sweeps as the user wrote them, which the place of a page of several follows; none for all.
        run: What tells this page of several sweeps from its other versions; "" if nobody follows it.
    """
    from tasks.layout import page_folder, together_folder
    from tasks.pages.report import write_again, write_together

    if len(sweeps) > 1:
        return write_together(root, sweeps, together_folder(names), run).uri
    (sweep,) = sweeps
    key = f"{page_folder(sweep.name, sweep.sweep_id)}/index.html"
    if sweep.running and root.store.head(key):
        return root.store.url(key)
    return write_again(root, sweep.name, sweep.sweep_id, sweep.total).uri


def _moment() -> str:
    """Return what tells this version of a page from others."""
    return f"{time.time_ns():x}"


def _impatient(root: str, *, single_publisher: bool = False) -> Root:
    """Return a root that waits for its store for a few seconds at most."""
    from tasks.root import Root
    from tasks.store import Patience

    patience = Patience(deadline=_PATIENCE_S, stall=_PATIENCE_S, known=True)
    return Root(root, single_publisher=single_publisher, patience=patience)


def _follow(
    root: str, names: Sequence[str], known: Sequence[object], server: PageServer, stopping: threading.Event
) -> bool:
    """Show what runs commit, and publish what pages send, until somebody stops; return whether it was published.

    The page of several sweeps is written again when a run of one of them begins or ends, or has something new of which
    it does not tell the page, and when another sweep was submitted that is meant by the names. The page of one sweep is
    written by its own run; when a sweep is submitted that has the name of this one, its page becomes the one that is
    served.

    Args:
        root: The root as the user wrote it.
        names: Names of sweeps as the user wrote them; none for all.
        known: What the page was written with (`_seen`).
        server: Serves the page.
        stopping: Set when somebody stops.
    """
    from nst.errors import NstError

    pause, failing, published = 0.0, False, True
    while not stopping.wait(max(_EVERY_S, pause)):
        began = time.monotonic()
        if server.choices:
            published = _publish(server.choices, told=published)
        if stopping.is_set():
            break
        try:
            opened = _impatient(root)
            now = _chosen(opened, names, told=False)
            seen = _seen(opened, now)
            if seen != known and _is_ready(opened, now):
                server.home = _write(opened, now, names, run=_moment()).removeprefix(f"{opened.uri}/")
                known = seen
            failing = False
        except NstError as error:
            if not failing:
                err.say(f"the page is not up to date: {error}")
            failing = True
        pause = (time.monotonic() - began) / _SHARE
    return published


def _seen(root: Root, sweeps: Sequence[SweepStatus]) -> list[object]:
    """Return what the page of these sweeps is to be written again for: whatever its own runs do not tell it."""
    from tasks.pages.news import followed

    if len(sweeps) == 1:
        return [sweeps[0].sweep_id]
    told = followed(root, sweeps)
    return [told.get(status.sweep_id, status) for status in sweeps]


def _is_ready(root: Root, now: Sequence[SweepStatus]) -> bool:
    """Return whether the page can be shown: that of one sweep is written by its run."""
    from tasks.layout import page_folder

    if len(now) > 1:
        return True
    (sweep,) = now
    page = f"{page_folder(sweep.name, sweep.sweep_id)}/index.html"
    return not sweep.running or root.store.head(page) is not None  # its run is about to write it


def _publish(choices: Choices, *, told: bool = True) -> bool:
    """Publish what pages sent and return whether it was; if not, the next call or run does it, and `told` says so."""
    from nst.errors import NstError

    try:
        choices.publish()
    except NstError as error:
        if told:
            err.say(f"votes and notes are kept and not in their tables yet: {error}")
        return False
    return True
