from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from nst.errors import InputError, UserError
from tasks.store import Stat, Store, open_store, probe

if TYPE_CHECKING:
    from conftest import S3Server


def test_what_is_put_is_got(store: Store):
    assert store.put("a/b.bin", b"\0\xff" * 1000)
    assert store.get("a/b.bin") == b"\0\xff" * 1000
    assert store.put("a/b.bin", b"shorter")
    assert store.get("a/b.bin") == b"shorter"


def test_an_empty_object_is_an_object(store: Store):
    assert store.put("empty", b"", create=True)
    assert store.get("empty") == b""
    assert not store.put("empty", b"x", create=True)
    assert store.head("empty").size == 0


def test_create_keeps_the_first_bytes(store: Store):
    assert store.put("claim", b"mine", create=True) is True
    assert store.put("claim", b"theirs", create=True) is False
    assert store.put("claim", b"mine", create=True) is True  # our own, whose answer was lost
    assert store.get("claim") == b"mine"


def test_a_missing_object_is_not_found(store: Store):
    with pytest.raises(FileNotFoundError):
        store.get("nothing/here")
    assert store.head("nothing/here") is None
    store.delete("nothing/here")


def test_a_folder_is_no_object(store: Store):
    store.put("a/b/c", b"1")
    if store.uri.startswith("file://"):  # where a folder is, no object can be: that is said, not taken for absence
        for use in (store.head, store.get):
            with pytest.raises(UserError, match="a/b is a folder, not a file"):
                use("a/b")
    else:
        assert store.head("a/b") is None
        with pytest.raises(FileNotFoundError):
            store.get("a/b")
    with pytest.raises(FileNotFoundError):
        store.get("a/b/c/d")


def test_list_is_recursive_sorted_and_by_string_prefix(store: Store):
    for key in ("w/2", "w/10", "w/a/deep/x", "wide", "v", "w é/ü+&%41.txt"):
        store.put(key, key.encode())
    assert [stat.key for stat in store.list("")] == sorted(["w/2", "w/10", "w/a/deep/x", "wide", "v", "w é/ü+&%41.txt"])
    assert [stat.key for stat in store.list("w/")] == ["w/10", "w/2", "w/a/deep/x"]
    assert [stat.key for stat in store.list("w/a")] == ["w/a/deep/x"]
    assert [stat.key for stat in store.list("wi")] == ["wide"]
    assert store.list("none/") == []
    assert store.list("w/1") == [store.head("w/10")]
    assert store.get("w é/ü+&%41.txt") == "w é/ü+&%41.txt".encode()


def test_changes_are_seen_at_once(store: Store):
    assert store.list("n/") == []
    assert store.head("n/new") is None
    store.put("n/new", b"1")
    first = store.head("n/new")
    assert store.list("n/") == [first] == [Stat("n/new", 1, first.etag)]
    store.put("n/new", b"2")
    second = store.head("n/new")
    assert second.etag != first.etag
    assert store.list("n/") == [second]
    store.delete("n/new")
    assert store.list("n/") == []
    assert store.head("n/new") is None


def test_roots_do_not_see_each_other(store: Store):
    beside = open_store(f"{store.uri}-beside")
    beside.put("x", b"1")
    assert store.list("") == []
    inside = open_store(f"{store.uri}/in/side/")
    inside.put("x", b"2")
    assert store.get("in/side/x") == b"2"
    assert inside.url("x") == f"{store.uri}/in/side/x"


@pytest.mark.parametrize("key", ["", "/abs", "a//b", "../up", "a/../../b", "a/", "./a", "nul\0"])
def test_keys_outside_the_root_are_refused(store: Store, key: str):
    for use in (store.get, store.head, store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(ValueError, match="not a key"):
            use(key)


def test_one_of_many_creators_wins(store: Store):
    gate = Barrier(16)

    def create(turn: int, racer: int) -> bool:
        gate.wait()
        return store.put(f"race/{turn}", b"racer %d" % racer, create=True)

    with ThreadPoolExecutor(16) as pool:
        for turn in range(6):
            won = list(pool.map(create, [turn] * 16, range(16)))
            assert sum(won) == 1
            assert store.get(f"race/{turn}") == b"racer %d" % won.index(True)


def test_probe_finds_create_only_and_cleans_up(store: Store):
    found = probe(store)
    assert found.create_only, found.detail
    assert store.list("") == []
    assert probe(store) is found


def test_a_store_crosses_into_another_process_by_its_uri(store: Store):
    store.put("k", b"v")
    copy = pickle.loads(pickle.dumps(store))
    assert copy.uri == store.uri
    assert copy.get("k") == b"v"


def test_more_than_one_page_is_listed(s3: S3Server):
    store = open_store(s3.bucket())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(f"many/{n:05}", b"."), range(130)))
    assert [stat.key for stat in store.list("many/")] == [f"many/{n:05}" for n in range(130)]


def test_folder_markers_are_not_objects(s3: S3Server):
    store = open_store(s3.bucket())
    store._fs.call_s3("put_object", Bucket=store.bucket, Key="folder/")
    store.put("folder/x", b"1")
    assert [stat.key for stat in store.list("")] == ["folder/x"]


def test_a_missing_bucket_is_the_users_to_mend(s3: S3Server):
    store = open_store("s3://nst-no-such-bucket/x")
    for use in (lambda: store.get("k"), lambda: store.put("k", b""), lambda: store.list("")):
        with pytest.raises(UserError, match=f"no such bucket at {s3.url}"):
            use()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://", "no bucket"),
        ("", "empty root"),
        ("s4://bucket/x", "did you mean s3://"),
        ("ftp://host/x", "unknown protocol ftp://"),
        ("https://host/x", "unknown protocol"),
    ],
)
def test_a_wrong_root_is_refused_with_a_hint(uri: str, said: str):
    with pytest.raises(InputError) as caught:
        open_store(uri)
    assert said in str(caught.value)


def test_an_invalid_bucket_name_is_the_users_to_mend(s3: S3Server):
    with pytest.raises(UserError, match="not a valid bucket"):
        open_store("s3://no spaces allowed/x").get("k")


def test_no_credentials_are_the_users_to_mend(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="no credentials"):
        open_store("s3://bucket/x").get("k")


def test_a_forked_child_gets_connections_of_its_own(s3: S3Server):
    code = """
import os, sys
from tasks.store import open_store
store = open_store(sys.argv[1])
store.put("parent", b"1")
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    assert store.get("child") == b"2"
else:
    os._exit(not (store.get("parent") == b"1" and store.put("child", b"2", create=True)))
"""
    subprocess.run([sys.executable, "-c", code, s3.bucket()], env=os.environ | s3.environment, check=True, timeout=60)


def test_pandas_reads_what_the_store_wrote(store: Store):
    import pandas as pd

    file = io.BytesIO()
    pd.DataFrame({"a": [1, 2]}).to_parquet(file)
    store.put("t/month=2026-11/part 1.parquet", file.getvalue())
    assert list(pd.read_parquet(store.url("t/month=2026-11/part 1.parquet")).a) == [1, 2]
    assert list(pd.read_parquet(store.url("t")).a) == [1, 2]
