"""The S3 store behind a proxy that breaks requests: passing faults change no result, lasting ones are clear errors."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from faultproxy import FaultProxy, Rule

from nst.errors import StorageError, UserError
from tasks.store import Patience, Store, open_store, probe

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
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gone.url.replace("http://", "http://me:secret@"))
    with pytest.raises(StorageError, match=f"at {gone.url}") as caught:
        open_store("s3://bucket/x", Patience(0.2, stall=0.2, longest_wait=0.05)).get("k")
    assert "secret" not in str(caught.value)


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
