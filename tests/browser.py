"""A page in a real headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--window-size=1400,1000",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # Neither parts of the window that are pages themselves, nor a process in reserve: half of what a tab costs.
    "--disable-features=InitialWebUI,SpareRendererForSitePerProcess",
]

HURRY = """{ const wait = setTimeout;
  window.setTimeout = (then, ms = 0, ...given) => wait(then, ms < 1000 ? ms : ms / 20, ...given); }"""
"""In a page that tests open, what the page does again after some seconds it does after a twentieth of them."""


class Tab:
    """A page driven over the DevTools protocol."""

    def __init__(self, socket, page):
        self.socket, self.page, self.count = socket, page, itertools.count(1)
        self.faults, self.requests = [], []

    def call(self, method, **params):
        number = next(self.count)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=200))
            if answer.get("method") == "Runtime.exceptionThrown" or (
                answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] in {"warning", "error"}
            ):
                self.faults.append(answer["params"])
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, state="", *, anew=False):
        if anew or self.js("location.protocol") != "file:":
            self.call("Page.navigate", url="about:blank")
            self.call("Page.navigate", url=f"{self.page.as_uri()}#{state}")
            self.until("document.readyState === 'complete' && document.querySelector('#views button') !== null")
        else:
            self.js(
                f"history.replaceState(null, '', {'#' + state!r}); dispatchEvent(new HashChangeEvent('hashchange'))"
            )

    def leave(self):
        """Show nothing, and forget what the page complained of that was shown."""
        self.call("Page.navigate", url="about:blank")
        self.until("location.href === 'about:blank'")
        self.faults.clear()

    def until(self, expression, seconds=120):
        deadline = time.monotonic() + seconds
        while not self._holds(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.02)

    def _holds(self, expression):
        try:
            return self.js(expression)
        except AssertionError as error:
            if "navigated" not in str(error):  # the page loads itself anew
                raise
            return False

    def key(self, name, code=0):
        for kind in ("keyDown", "keyUp"):
            text = {"text": name} if len(name) == 1 and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **text)

    def type(self, selector, value, event="input"):
        self.js(f"(() => {{ const node = document.querySelector({selector!r}); node.value = {value!r};"
                f" node.dispatchEvent(new Event({event!r}, {{bubbles: true}})); }})()")  # fmt: skip


class _Chromium:
    """The one Chromium of this process. Each profile is a browser context, which shares nothing with the others.

    Attributes:
        folder: Where it keeps its files, which is among the arguments of each of its processes.
    """

    def __init__(self):
        self.contexts = {}
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = self._folder.name
        self.process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self.folder}", "about:blank"],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        atexit.register(self.end)
        port = Path(self.folder) / "DevToolsActivePort"
        for _ in range(600):
            if port.exists() and len(lines := port.read_text().splitlines()) == 2:
                self.host, self.path = f"ws://127.0.0.1:{lines[0]}", lines[1]
                return
            time.sleep(0.05)
        raise AssertionError("Chromium did not start")

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self._folder.cleanup()

    @contextmanager
    def connected(self, path, page):
        from websockets.sync import client

        with client.connect(f"{self.host}{path}", max_size=None, proxy=None) as socket:
            yield Tab(socket, page)

    @contextmanager
    def tab(self, page, profile):
        with self.connected(self.path, page) as browser:
            if profile not in self.contexts:
                self.contexts[profile] = browser.call("Target.createBrowserContext")["browserContextId"]
            window = {"browserContextId": self.contexts[profile], "newWindow": True}
            target = browser.call("Target.createTarget", url="about:blank", **window)["targetId"]
            try:
                with self.connected(f"/devtools/page/{target}", page) as found:
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        found.call(f"{domain}.enable")
                    found.call("Page.addScriptToEvaluateOnNewDocument", source=HURRY)
                    yield found
            finally:
                browser.call("Target.closeTarget", targetId=target)


_running = []


def chromium():
    """Return the browser of this process, which starts when it is first needed, and again when it has ended."""
    if not _running or _running[-1].process.poll() is not None:
        _running.append(_Chromium())
    return _running[-1]


@contextmanager
def opened(page, profile):
    """Give a tab for the page, a path, in the browser of this process.

    Whatever is kept under a profile, a name or a path, is there when the profile is opened again, and nowhere else.
    """
    with chromium().tab(page, profile) as tab:
        yield tab
