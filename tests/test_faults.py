"""The S3 store behind a proxy that breaks requests: passing faults change no result, lasting ones are clear errors."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from faultproxy import FaultProxy, Rule

from nst.errors import StorageError, UserError
from tasks.root import Root
from tasks.store import Patience, Store, open_store, probe
from tasks.store.probe import _FOUND, REMEMBERED, is_remembered, keeps_create_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import S3Server

QUICK = Patience(deadline=30.0, stall=10.0, first_wait=0.01, longest_wait=0.05)
SHORT_STALL = Patience(deadline=30.0, stall=0.25, first_wait=0.01, longest_wait=0.05)
ACTIONS = ("drop_response", "reset_request", "status:503", "status:500", "status:429", "truncate", "stall:0.4")
METHODS = {"get": "GET", "put": "PUT", "create": "PUT", "list": "GET", "delete": "DELETE", "head": "HEAD"}


@pytest.fixture(scope="module")
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    proxy = FaultProxy(s3.url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    return s3.bucket()


@pytest.fixture
def behind(proxy: FaultProxy, bucket: str) -> Iterator[Store]:
    """A store behind the proxy, with one object `old`."""
    store = open_store(f"{bucket}/{uuid.uuid4().hex}", QUICK)
    store.put("old", b"old bytes " * 1000)
    proxy.log.clear()
    yield store
    proxy.rules = []


def use(store: Store, operation: str) -> None:
    """Do one operation and check that its result is the right one."""
    if operation == "get":
        assert store.get("old") == b"old bytes " * 1000
    elif operation == "put":
        assert store.put("old", b"new") is True
    elif operation == "create":
        assert store.put("made", b"mine", create=True) is True
    elif operation == "list":
        assert [stat.key for stat in store.list("")] == ["old"]
    elif operation == "delete":
        store.delete("old")
    else:
        assert store.head("old").size == 10_000


def aftermath(store: Store, operation: str) -> None:
    """Check what the store holds after one operation."""
    expected = {"old": b"new" if operation == "put" else b"old bytes " * 1000}
    if operation == "create":
        expected["made"] = b"mine"
    if operation == "delete":
        del expected["old"]
    assert {stat.key: store.get(stat.key) for stat in store.list("")} == expected


@pytest.mark.parametrize(("action", "times"), [(action, times) for action in ACTIONS for times in (1, 3)][:-1])
@pytest.mark.parametrize("operation", METHODS)
def test_a_passing_fault_changes_nothing(behind: Store, proxy: FaultProxy, operation: str, action: str, times: int):
    proxy.rules = [Rule(action, method=METHODS[operation], hits=set(range(1, times + 1)))]
    use(open_store(behind.uri, SHORT_STALL) if "stall" in action else behind, operation)
    assert proxy.hurt() >= (1 if action == "truncate" and METHODS[operation] != "GET" else times)
    proxy.rules = []
    aftermath(behind, operation)


@pytest.mark.parametrize("action", ["reset_request", "drop_response", "status:503", "status:500", "stall:0.2"])
@pytest.mark.parametrize("operation", METHODS)
def test_a_lasting_fault_is_an_error_after_the_deadline(behind: Store, proxy: FaultProxy, operation: str, action: str):
    store = open_store(behind.uri, Patience(0.1, stall=0.1, first_wait=0.01, longest_wait=0.05))
    proxy.rules = [Rule(action)]
    with pytest.raises(StorageError, match=r"gave up after \d+ attempts") as caught:
        use(store, operation)
    proxy.rules = []
    assert "testing" not in str(caught.value)
    assert store.uri in str(caught.value)


@pytest.mark.parametrize("answer", ["drop_response", "truncate", "stall:0.4"])
def test_a_lost_answer_never_turns_a_loser_into_a_winner(behind: Store, proxy: FaultProxy, answer: str):
    proxy.rules = [Rule(answer, method="PUT", hits={1})]
    store = open_store(behind.uri, SHORT_STALL) if "stall" in answer else behind
    assert store.put("old", b"mine", create=True) is False
    assert behind.get("old") == b"old bytes " * 1000


def test_the_lost_answer_and_the_look_afterwards_both_fail(behind: Store, proxy: FaultProxy):
    proxy.rules = [
        Rule("drop_response", method="PUT", hits={1}),  # committed, unanswered
        Rule("truncate", method="GET", hits={1}),  # and the comparing read is cut
        Rule("status:503", method="PUT", hits={2}),
    ]
    assert behind.put("claim", b"mine" * 100, create=True) is True
    assert proxy.hurt() == 3
    assert behind.get("claim") == b"mine" * 100


def test_a_conflict_with_another_writer_is_tried_again(behind: Store, proxy: FaultProxy):
    proxy.rules = [Rule("status:409", method="PUT", hits={1, 2})]
    assert behind.put("claim", b"mine", create=True) is True


def test_a_later_page_of_a_listing_may_fail_too(behind: Store, proxy: FaultProxy):
    for number in range(130):
        behind.put(f"page/{number:03}", b"")
    proxy.rules = [Rule(action, part="continuation-token", hits={1}) for action in ACTIONS[:3]]
    assert len(behind.list("page/")) == 130
    assert proxy.hurt() == 3


@pytest.mark.parametrize("operation", METHODS)
def test_a_refusal_is_the_users_to_mend_and_is_not_tried_again(behind: Store, proxy: FaultProxy, operation: str):
    proxy.rules = [Rule("status:403")]
    with pytest.raises(UserError, match=f"access denied at {proxy.url}") as caught:
        use(behind, operation)
    assert proxy.hurt() == 1
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    assert "testing" not in str(caught.value)


def test_nobody_listens(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    gone = FaultProxy(s3.url)
    gone.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gone.url)
    with pytest.raises(StorageError, match=f"no connection to {gone.url}"):
        open_store("s3://bucket/x", Patience(1.0, stall=60, longest_wait=0.05, known=True)).get("k")


def test_a_password_in_the_endpoint_is_the_users_to_mend_and_not_told(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url.replace("http://", "http://me:secret@"))
    with pytest.raises(UserError, match=f"not a valid bucket, key or endpoint .{s3.url}") as caught:
        open_store("s3://bucket/x", Patience(deadline=1e9, known=True)).get("k")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
@pytest.mark.parametrize("operation", METHODS)
def test_nobody_at_the_first_contact_is_the_users_to_mend_and_is_not_tried_again(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, host: str, operation: str
):
    gone = FaultProxy(s3.url)
    gone.close()
    url = gone.url.replace("127.0.0.1", host)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(UserError, match=f"no connection to {url}"):
        use(open_store("s3://bucket/x", Patience(deadline=1e9)), operation)  # a retry would never end
    with pytest.raises(UserError, match=f"no connection to {url}"):
        probe(open_store("s3://bucket/x", Patience(deadline=1e9)))


def test_a_store_that_answered_once_keeps_its_patience(s3: S3Server, monkeypatch: pytest.MonkeyPatch, bucket: str):
    proxy = FaultProxy(s3.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    store = open_store(f"{bucket}/{uuid.uuid4().hex}", Patience(0.3, stall=5, first_wait=0.01, longest_wait=0.05))
    store.put("k", b"1")
    crossed = pickle.loads(pickle.dumps(store))
    proxy.rules = [Rule("reset_request")]  # ends the connections that are open
    proxy.close()
    for one in (store, crossed):
        with pytest.raises(StorageError, match=r"gave up after \d+ attempts"):
            one.get("k")


def test_a_root_that_crosses_into_a_worker_has_been_reached_before(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    gone = FaultProxy(s3.url)
    gone.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gone.url)
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).store._patience.known)"
    worker = [sys.executable, "-c", code]
    done = subprocess.run(worker, input=pickle.dumps(Root("s3://bucket/x")), capture_output=True, check=True)
    assert done.stdout == b"True\n"


@pytest.mark.parametrize("operation", ["put", "create", "list"])
def test_another_server_than_s3_is_the_users_to_mend(behind: Store, proxy: FaultProxy, operation: str):
    proxy.rules = [Rule("status:404")]
    with pytest.raises(UserError, match=f"404 at {proxy.url}"):
        use(behind, operation)
    assert proxy.hurt() == 1


@pytest.mark.parametrize("operation", [name for name in METHODS if name != "delete"])
def test_a_page_that_answers_everything_is_no_store(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, bucket: str, operation: str
):
    portal = FaultProxy(s3.url, [Rule("swallow")])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", portal.url)
    with pytest.raises(UserError, match="none of an S3 server"):
        use(open_store(f"{bucket}/x", Patience(deadline=1e9)), operation)
    portal.close()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("operation", ["put", "create"])
def test_an_acknowledged_write_that_is_not_stored_is_written_again(
    behind: Store, proxy: FaultProxy, operation: str, times: int
):
    proxy.rules = [Rule("swallow", method="PUT", hits=set(range(1, times + 1)))]
    use(behind, operation)
    proxy.rules = []
    aftermath(behind, operation)


@pytest.mark.parametrize("operation", ["put", "create"])
def test_a_proxy_that_stores_nothing_is_an_error_and_no_success(behind: Store, proxy: FaultProxy, operation: str):
    proxy.rules = [Rule("swallow", method="PUT")]
    store = open_store(behind.uri, Patience(0.1, stall=5, first_wait=0.01, longest_wait=0.05))
    with pytest.raises(StorageError, match="acknowledged, and"):
        use(store, operation)


@pytest.mark.parametrize("operation", ["put", "create"])
def test_a_server_without_etags_is_asked_for_what_it_holds(behind: Store, proxy: FaultProxy, operation: str):
    proxy.rules = [Rule("strip_etag", method="PUT")]
    use(behind, operation)
    assert "HEAD" in {method for method, _, _ in proxy.log}
    proxy.rules = []
    aftermath(behind, operation)


def test_a_probe_is_remembered_for_a_day_by_the_store_itself(behind: Store, proxy: FaultProxy):
    def forget():
        _FOUND.clear()
        proxy.log.clear()

    forget()
    assert keeps_create_only(behind)
    assert len(proxy.log) > 100
    forget()
    assert keeps_create_only(behind)
    assert len(proxy.log) == 1
    memory = json.loads(behind.get(REMEMBERED))
    damaged = [
        b"",
        b"[" * 4000,
        b"[]",
        b"{}",
        b"\xff",
        b" " * 5000,
        json.dumps({**memory, "uri": "s3://a/copy"}).encode(),
    ]
    damaged += [json.dumps({**memory, "probed_at": at}).encode() for at in (memory["probed_at"] - 90_000, 1e12, "x")]
    for text in damaged:
        behind.put(REMEMBERED, text)
        assert not is_remembered(behind)


def test_a_store_that_failed_its_probe_is_probed_again(behind: Store, proxy: FaultProxy):
    proxy.rules = [Rule("strip_condition", method="PUT")]
    assert not keeps_create_only(behind)
    assert [stat.key for stat in behind.list("")] == ["old"]


def test_a_server_that_ignores_conditions_is_found(behind: Store, proxy: FaultProxy):
    proxy.rules = [Rule("strip_condition", method="PUT")]
    found = probe(behind)
    assert not found.create_only
    assert "ignores" in found.detail
    assert [stat.key for stat in behind.list("")] == ["old"]


def test_a_server_that_ignores_conditions_now_and_then_is_found(behind: Store, proxy: FaultProxy):
    proxy.rules = [Rule("strip_condition", method="PUT", part="race-", hits=set(range(5, 60, 7)))]
    found = probe(behind)
    assert not found.create_only
    assert "were told" in found.detail


def test_a_server_without_conditions_gets_a_look_first(behind: Store, proxy: FaultProxy):
    proxy.rules = [Rule("status:501", method="PUT", hits={1})]
    assert behind.put("made", b"mine", create=True) is True
    assert behind.put("old", b"mine", create=True) is False
    assert not probe(behind).create_only


def test_the_probe_of_a_dead_store_is_not_remembered(proxy: FaultProxy, bucket: str):
    uri = f"{bucket}/{uuid.uuid4().hex}"
    proxy.rules = [Rule("status:503")]
    with pytest.raises(StorageError):
        probe(open_store(uri, Patience(0.1, stall=0.2, longest_wait=0.05)))
    proxy.rules = []
    assert probe(open_store(uri, QUICK)).create_only


def test_no_write_waits_for_a_server_to_say_continue(behind: Store, proxy: FaultProxy):
    """With `Expect: 100-continue`, aiohttp 3.14 was seen to wait for ever for a server that had refused."""
    asked = []
    behind._fs.s3.meta.events.register_last("before-send.s3", lambda request, **_: asked.append(request.headers))
    proxy.rules = [Rule("status:503", method="PUT", hits={1})]
    assert behind.put("big", b"." * 5_000_000, create=True) is True
    assert len(asked) == 2
    assert not any("Expect" in headers for headers in asked)
