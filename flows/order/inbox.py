"""The inbox of a root: a manifest that somebody lays into it is checked, planned and submitted, and answered beside it.

    inbox/first.yaml -> plan -> submitted, as `nst submit` does -> inbox/first.yaml.report.txt

The problem: whoever has a bucket and no shell wants to submit, too. A file may lie there half-written, be no manifest,
be laid there twice, or want what it may not.

The rule: the report names the digest of the manifest that it answers, and nothing else is remembered. A manifest is
taken up when it has no report, or that of other bytes, and has not changed for `SETTLE_S`; so one that is written anew
is answered anew, and a report that somebody deletes lets its manifest be taken up again. To submit the same sweep twice
changes nothing. What passes, as a store that does not answer, has no report: the next look tries again.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flows.order.remarks import remarks
from flows.order.request import Request, order_of
from flows.order.submission import submit_order
from nst.errors import InputError, NstError, TransientError
from tasks.fsck.orphans import store_time
from tasks.layout import INBOX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from flows.order.order import Order
    from tasks.root import Root
    from tasks.store import Stat

    HandOver = Callable[[Order[Any]], str]
    """Hands an order that is submitted to whoever does it, and returns a line about that."""

SETTLE_S: Final = 10.0
"""How long a file has to stay as it is before it is taken for whole, by the clock of the store."""

LOOK_EVERY_S: Final = 15.0
"""Seconds between two looks of whoever stays."""

_MOST_BYTES: Final = 4 * 1024**2
"""Of a manifest, as everywhere."""

_MANIFEST: Final = re.compile(r"[^/]+\.ya?ml")
_ANSWERED: Final = re.compile(rb"(?:accepted|refused) (\S+) ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a manifest.

    Attributes:
        name: Its file.
        accepted: Whether it is submitted.
        text: What its report says, without the first line.
    """

    name: str
    accepted: bool
    text: str


class Inbox:
    """The inbox of a root. What has been looked at is not read again as long as it stays as it is.

    Args:
        root: The root, probed.
        inputs: Folder that local inputs of manifests may lie in, where the root is not on this machine; "" for none.
        hand_over: Called with what is submitted.
    """

    def __init__(self, root: Root, inputs: str, hand_over: HandOver) -> None:
        self._root, self._inputs, self._hand_over = root, inputs, hand_over
        self._settled: dict[str, tuple[str, str]] = {}  # the etags of manifests that are answered, and of the answers

    def look(self) -> Iterator[Answer]:
        """Take up what is not answered, and yield each answer when its report is written.

        Raises:
            TransientError: The store, the site of an input, or the server did not answer; what has a report is done.
            UserError: The root cannot be used.
        """
        passing: TransientError | None = None
        failed: NstError | None = None
        for stat in self._unanswered():
            version = _version(self._root, stat)
            try:
                answer = _answered(self._root, stat.key, self._inputs, self._hand_over)
            except TransientError as error:  # of the site of one input, maybe: the others are not to wait for it
                passing = error
                continue
            first = f"{'accepted' if answer.accepted else 'refused'} {version} "
            first += datetime.now(UTC).isoformat(timespec="seconds")
            try:
                self._root.store.put(_report(stat.key), f"{first}\n{answer.text}\n".encode(errors="replace"))
            except NstError as error:  # of this one name, maybe, which is too long or that of a folder
                self._settled[stat.key] = (stat.etag, "")
                failed = error
            yield answer
        if passing:
            raise passing
        if failed:
            raise failed

    def _unanswered(self) -> list[Stat]:
        """Return the manifests that are to be taken up, in the order of their names."""
        store = self._root.store
        listed = {stat.key: stat for stat in store.list(INBOX)}
        found = []
        for key, stat in listed.items():
            if not _MANIFEST.fullmatch(key.removeprefix(INBOX)):
                continue
            report = listed.get(_report(key))
            etags = (stat.etag, report.etag if report else "")
            if stat.etag and self._settled.get(key) == etags:
                continue
            if report is not None and _answers(store.get(report.key)) == _version(self._root, stat):
                self._settled[key] = etags
            else:
                found.append(stat)
        if not found:
            return []
        before = store_time(store) - SETTLE_S
        return [stat for stat in found if stat.modified is None or stat.modified <= before]


def _answers(report: bytes) -> str:
    """Return which version of its manifest a report answers, "" if it says none."""
    found = _ANSWERED.match(report)
    return found[1].decode() if found else ""


def _version(root: Root, stat: Stat) -> str:
    """Return what tells one version of a manifest from another: its digest, or the size of one too large to read."""
    if stat.size > _MOST_BYTES:
        return f"of-{stat.size}-bytes"
    return hashlib.sha256(root.store.get(stat.key, max_bytes=_MOST_BYTES)).hexdigest()


def _answered(root: Root, key: str, inputs: str, hand_over: HandOver) -> Answer:
    """Submit a manifest; whatever is wrong with it is the answer, so that no manifest keeps others waiting."""
    name = key.removeprefix(INBOX).encode(errors="replace").decode()
    if name != key.removeprefix(INBOX):
        return Answer(name, accepted=False, text=str(InputError("its name is not UTF-8", hint="rename the file")))
    try:
        order = order_of(Request(root.store.url(key), root, inputs, is_confined=True))
        noted = list(remarks(order))
        lines = [submit_order(order).line(), *noted]
        if order.to_do:
            lines.append(hand_over(order))
        if order.page:
            lines.append(f"pictures: {order.page}")
        return Answer(name, accepted=True, text="\n".join(lines))
    except TransientError:
        raise
    except NstError as error:
        return Answer(name, accepted=False, text=str(error))
    except Exception:  # noqa: BLE001  a bug, which is told with its trace like any other
        return Answer(name, accepted=False, text=f"a bug of nst:\n{traceback.format_exc()}")


def _report(key: str) -> str:
    return f"{key}.report.txt"
