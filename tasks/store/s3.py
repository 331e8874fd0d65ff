"""The store on S3 and what speaks its protocol (Ceph RGW, MinIO, R2, Swift's s3api, ...), through s3fs.

Endpoint, region and credentials come from the standard environment and files of AWS (`AWS_ENDPOINT_URL_S3`,
`AWS_PROFILE`, ...), read when the store is opened. An object is written by one PutObject, so that no part of it is ever
visible; `If-None-Match: *` makes the write create-only. An answer of 200 proves no write, since a proxy or a portal may
give it: the ETag must be the MD5 of the bytes, or else the object is looked at. Listings are not cached. s3fs and
botocore do not retry, since `Patience` does.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import s3fs
from fsspec.asyn import sync

from nst.errors import InputError, UserError
from tasks.store.contract import Stat, check_key, check_size
from tasks.store.patience import CONNECT_SECONDS, PassingError, Patience, UnreachableError, persist
from tasks.store.s3_errors import TRANSLATED, place_of, status_of, translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
_ENVIRONMENT = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_PROFILE", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "FSSPEC_S3_ENDPOINT_URL",
)  # fmt: skip
_CLIENTS: dict[tuple[object, ...], s3fs.S3FileSystem] = {}
_LOCK = threading.Lock()
SLOWEST = 100_000.0
"""Bytes per second below which a transfer counts as hanging."""
_PIECE = 1 << 20


def _client(patience: Patience) -> s3fs.S3FileSystem:
    """Return the client of this process for its environment; all stores share its connections, forks do not."""
    key = (os.getpid(), patience.stall, *(os.environ.get(name) for name in _ENVIRONMENT))
    with _LOCK:
        if key not in _CLIENTS:
            connect = min(patience.stall, CONNECT_SECONDS)
            limits = {"connect_timeout": connect, "read_timeout": patience.stall, "max_pool_connections": 32}
            _CLIENTS[key] = s3fs.S3FileSystem(
                config_kwargs={**limits, "retries": {"total_max_attempts": 1, "mode": "standard"}},
                use_listings_cache=False,
                skip_instance_cache=True,
            )
        return _CLIENTS[key]


def _drop_expect(params: dict[str, Any], **_: Any) -> None:
    """Send the body at once: aiohttp 3.14 waited endlessly for the `100 Continue` of a server that refused (rclone)."""
    params["headers"].pop("Expect", None)


class S3Store:
    """All objects below s3://bucket/prefix.

    Args:
        uri: The root URI.
        patience: Limits of every operation.

    Raises:
        InputError: No bucket in the URI.
    """

    def __init__(self, uri: str, patience: Patience | None = None) -> None:
        self.bucket, _, prefix = uri.partition("://")[2].partition("/")
        if not self.bucket:
            raise InputError(f"no bucket in {uri!r}", hint="write s3://bucket/prefix")
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.uri = f"s3://{self.bucket}/{self._prefix}".rstrip("/")
        self.emulates_create = False
        self._patience = patience or Patience()
        self._fs = _client(self._patience)
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"S3Store({self.uri!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Cross into another process as the URI: credentials are read from the environment there."""
        return (S3Store, (self.uri, replace(self._patience, known=True)))

    def url(self, key: str) -> str:
        """Return s3://bucket/prefix/key."""
        return f"{self.uri}/{key}"

    def get(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """Return all bytes; see `Store.get`."""
        full = self._full(key)
        return self._do("get", key, lambda: bytes(self._read(full, max_bytes, bytearray, bytearray.extend)))

    def digest(self, key: str, *, max_bytes: int | None = None) -> str:
        """Return the SHA-256; see `Store.digest`."""
        full = self._full(key)

        def attempt() -> str:
            return self._read(full, max_bytes, hashlib.sha256, lambda found, piece: found.update(piece)).hexdigest()

        return self._do("get", key, attempt)

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        """Write an object whole; see `Store.put`."""
        where: dict[str, Any] = {"Bucket": self.bucket, "Key": self._full(key), "Body": data}

        def attempt() -> bool:
            if create:
                return self._create(where) or self._holds(where["Key"], data)
            self._write(where)
            return True

        return self._do("put", key, attempt)

    def head(self, key: str) -> Stat | None:
        """Return size and etag, or None."""
        full = self._full(key)
        try:
            found = self._do("head", key, lambda: self._look(full))
        except FileNotFoundError:
            return None
        return Stat(key, int(found["ContentLength"]), found["ETag"].strip('"'), _modified(found))

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        full = self._full(key)
        try:
            self._do("delete", key, lambda: self._call("delete_object", Bucket=self.bucket, Key=full))
        except FileNotFoundError:
            return

    def list(self, prefix: str) -> list[Stat]:
        """Return the objects whose key starts with `prefix`, sorted by key."""
        found: list[Stat] = []
        where = {"Bucket": self.bucket, "Prefix": self._prefix + prefix}
        while True:
            page = self._do("list", prefix, lambda: _from_s3(self._call("list_objects_v2", **where), "IsTruncated"))
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):  # the empty objects by which some tools mark folders
                    key = item["Key"][len(self._prefix) :]
                    found.append(Stat(key, int(item["Size"]), item["ETag"].strip('"'), _modified(item)))
            if not page.get("IsTruncated"):
                return sorted(found, key=lambda stat: stat.key)
            where["ContinuationToken"] = page["NextContinuationToken"]

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        limit = 2 * self._patience.stall + len(arguments.get("Body", b"")) / SLOWEST

        async def call(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = await asyncio.wait_for(getattr(client, operation)(**arguments), limit)
            return answer

        return self._run(call)

    def _look(self, full: str) -> dict[str, Any]:
        return _from_s3(self._call("head_object", Bucket=self.bucket, Key=full), "ETag")

    def _run(self, use: Callable[[Any], Awaitable[T]]) -> T:
        """Return what `use` returns for the botocore client of s3fs, whose own calls retry and drop arguments."""

        async def run() -> T:
            await self._fs.set_session()
            client = await self._fs.get_s3(self.bucket)
            client.meta.events.register_last("before-call.s3", _drop_expect, unique_id="nst-no-expect")
            return await use(client)

        answer: T = sync(self._fs.loop, run)
        return answer

    def _read(self, full: str, max_bytes: int | None, make: Callable[[], T], add: Callable[[T, bytes], object]) -> T:
        """Return what `make` makes and `add` adds all bytes to, in one attempt; never fewer bytes than were announced.

        Raises:
            PassingError: Bytes are missing, or come more slowly than `SLOWEST`.
        """

        async def read(client: Any) -> T:
            answer = await asyncio.wait_for(client.get_object(Bucket=self.bucket, Key=full), 2 * self._patience.stall)
            _from_s3(answer, "ETag")
            size, done, read = int(answer["ContentLength"]), make(), 0
            async with answer["Body"] as body, asyncio.timeout(2 * self._patience.stall + size / SLOWEST):
                check_size(size, max_bytes, f"s3://{self.bucket}/{full}")
                while piece := await body.read(_PIECE):
                    add(done, piece)
                    read += len(piece)
            if read != size:
                raise PassingError(f"{read} of {size} bytes arrived")
            return done

        return self._run(read)

    def _write(self, where: dict[str, Any], **conditions: str) -> None:
        """Put an object in one attempt, and have it shown that the store holds it.

        Raises:
            PassingError: The write was acknowledged, and the store does not hold the object.
        """
        data: bytes = where["Body"]
        etag = str(self._call("put_object", **where, **conditions).get("ETag", "")).strip('"')
        if etag == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return
        try:
            found = self._look(where["Key"])
        except TRANSLATED as error:
            if status_of(error) != 404:
                raise
            raise PassingError("the write was acknowledged, and there is no object") from None
        if int(found["ContentLength"]) != len(data) or found["ETag"].strip('"') != etag != "":
            raise PassingError("the write was acknowledged, and the object holds other bytes")

    def _create(self, where: dict[str, Any]) -> bool:
        """Put the object unless its key is taken; return whether it was put."""
        if not self.emulates_create:
            try:
                self._write(where, IfNoneMatch="*")
            except TRANSLATED as error:
                if status_of(error) == 412:
                    return False
                if status_of(error) != 501:
                    raise
                self.emulates_create = True  # the probe reports it
            else:
                return True
        try:
            self._look(where["Key"])
        except TRANSLATED as error:
            if status_of(error) != 404:
                raise
            self._write(where)
            return True
        return False

    def _holds(self, full: str, data: bytes) -> bool:
        """Return whether the key holds `data`: after a lost answer, the bytes that are in the way may be our own."""
        try:
            return self._read(full, None, bytearray, bytearray.extend) == data
        except TRANSLATED as error:
            if status_of(error) != 404:
                raise
            raise PassingError("the object came and went while it was being created") from None

    def _do(self, verb: str, key: str, attempt: Callable[[], T]) -> T:
        if self._pid != os.getpid():  # a forked child: connections and their event loop belong to the parent
            self._fs, self._pid = _client(self._patience), os.getpid()
        what = f"{verb} {self.url(key)}"

        def once() -> T:
            try:
                return attempt()
            except TRANSLATED as error:
                raised = translate(error, what, self._fs.endpoint_url)
                if isinstance(raised, FileNotFoundError) and verb in {"put", "list"}:  # no object that could be absent
                    where = place_of(self._fs.endpoint_url)
                    hint = "is it an S3 server? see AWS_ENDPOINT_URL_S3"
                    raise UserError(f"{what}: HTTP 404 at {where}", hint=hint) from error
                raise raised from error

        return persist(once, self._patience, what, place_of(self._fs.endpoint_url))


def _modified(item: dict[str, Any]) -> float | None:
    """Return when an object was written last."""
    time = item.get("LastModified")
    return time.timestamp() if isinstance(time, datetime) else None


def _from_s3(answer: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an answer that has what every answer of S3 has.

    Raises:
        UnreachableError: It has not: a page to log in, say, answers 200 to everything.
    """
    if key not in answer:
        raise UnreachableError(f"an answer without {key}, which is none of an S3 server")
    return answer
