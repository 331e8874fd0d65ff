"""moto's S3 server with atomic conditional writes: `python s3server.py PORT`.

moto looks whether a key exists and writes it in two steps, so that under load two of its threads may both create one
key, which S3 promises cannot happen. Here one write is served at a time, once its body has been read. And moto looks
its modules up in the file system at each request, and reads each date of a listing anew: a third of its time.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from threading import Lock
from typing import Any

import botocore.utils
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.responses import S3Response
from moto.server import main

_WRITE = Lock()


def _one_at_a_time(name: str) -> None:
    handle = getattr(S3Response, name)

    def locked(self: S3Response, *arguments: Any, **options: Any) -> Any:
        with _WRITE:
            return handle(self, *arguments, **options)

    setattr(S3Response, name, locked)


if __name__ == "__main__":
    DomainDispatcherApplication.get_backend_for_host = cache(DomainDispatcherApplication.get_backend_for_host)
    botocore.utils.parse_timestamp = lru_cache(1000)(botocore.utils.parse_timestamp)
    for name in ("put_object", "_key_response_post"):
        _one_at_a_time(name)
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
