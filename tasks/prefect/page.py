"""What Prefect's page shows of a run: a progress bar, a summary table, a contact sheet. Prefect calls them artifacts.

The page is optional: when it cannot be written, the run goes on without it. It is written through the synchronous
client directly, because Prefect's `create_..._artifact` functions return coroutines inside an `async` flow, even when a
thread of the flow calls them.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.settings import temporary_settings

from tasks.prefect.server import current_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

R = TypeVar("R")

log = logging.getLogger("nst.prefect")

MAX_ROWS = 200
MAX_SHEET_BYTES = 500_000
PROGRESS_EVERY_S = 5.0
_PAUSES_S = (2.0, 4.0)
"""Before a private server that lives is asked again."""


class PrefectPage:
    """The artifacts of one flow run.

    Args:
        client: A synchronous client that stays open.
        flow_run_id: Id of the flow run.
        key: The same for every run of one manifest, so that Prefect keeps their history; any text.
        noun: What the progress counts: cells or models.
    """

    def __init__(self, client: SyncPrefectClient, flow_run_id: UUID, key: str, noun: str = "cells") -> None:
        self._client = client
        self._flow_run_id = flow_run_id
        self._key = artifact_key(key)
        self._noun = noun
        self._progress_id: UUID | None = None
        self._shown_at = float("-inf")
        self._shown = ""
        self._broken = False

    def progress(self, done: int, total: int, text: str, *, now: bool = False) -> None:
        """Show how far the run is, if that changed; at most once in five seconds unless `now`."""
        percent = 100.0 * done / total if total else 100.0
        description = f"{done:,} of {total:,} {self._noun}. {text}".strip()
        if description == self._shown or (not now and time.monotonic() - self._shown_at < PROGRESS_EVERY_S):
            return
        self._shown_at, self._shown = time.monotonic(), description
        if self._progress_id is None:
            self._progress_id = self._create("progress", "progress", percent, description)
        else:
            self._update(self._progress_id, percent, description)

    def link(self, uri: str) -> None:
        """Show where pictures appear while they are made."""
        self._create("pictures", "markdown", f"[{uri}]({uri})", "The page of the pictures, as they are made.")

    def table(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Show the first 200 rows as a table."""
        shown = [{key: _plain(value) for key, value in row.items()} for row in rows[:MAX_ROWS]]
        left_out = f" The first {MAX_ROWS} of {len(rows):,} rows." if len(rows) > MAX_ROWS else ""
        self._create("summary", "table", json.dumps(shown), f"Summary of the run.{left_out}")

    def contact_sheet(self, jpeg: bytes) -> None:
        """Show a picture inside the page itself, so that no browser needs access to the store."""
        data = base64.b64encode(fit_jpeg(jpeg, MAX_SHEET_BYTES * 3 // 4)).decode()
        self._create("contact-sheet", "markdown", f"![contact sheet](data:image/jpeg;base64,{data})", "Contact sheet.")

    def _create(self, name: str, kind: str, data: Any, description: str) -> UUID | None:
        artifact = ArtifactCreate(
            key=f"{self._key}-{name}", type=kind, data=data, description=description, flow_run_id=self._flow_run_id
        )
        return self._safely(lambda: self._client.create_artifact(artifact).id)

    def _update(self, artifact_id: UUID, data: Any, description: str) -> None:
        self._safely(
            lambda: self._client.update_artifact(artifact_id, ArtifactUpdate(data=data, description=description))
        )

    def _safely(self, call: Callable[[], R]) -> R | None:
        """Return what the server answers; None if it does not. A private one is asked again only while it lives."""
        if self._broken:
            return None
        server = current_server()
        if server is None:
            return self._answer(call)
        # Prefect's client would go on asking a server that has died: its pauses end for nothing.
        with temporary_settings({"client.max_retries": 0}):
            for pause_s in _PAUSES_S:
                if server.lost:
                    return None
                with contextlib.suppress(Exception):
                    return call()
                server.ended_within(pause_s)
            return None if server.lost else self._answer(call)

    def _answer(self, call: Callable[[], R]) -> R | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # whatever it is, a page is not worth a run
            self._broken = True
            server = current_server()
            if server is None or not server.lost:
                log.warning("Prefect's page is no longer updated: %r", error)
            return None


def artifact_key(text: str) -> str:
    """Return the text as Prefect demands: lowercase letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "run"


def fit_jpeg(jpeg: bytes, max_bytes: int) -> bytes:
    """Return the JPEG itself, or a smaller version of it of at most `max_bytes`."""
    while len(jpeg) > max_bytes:
        with Image.open(io.BytesIO(jpeg)) as image:
            scale = min(0.9, (max_bytes / len(jpeg)) ** 0.5)
            smaller = image.convert("RGB").resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        buffer = io.BytesIO()
        smaller.save(buffer, "JPEG", quality=80)
        jpeg = buffer.getvalue()
    return jpeg


def _plain(value: object) -> object:
    """Return a value that JSON can hold: NaN, infinities and unknown types become text."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return round(value, 6) if value - value == 0 else str(value)
    return str(value)
