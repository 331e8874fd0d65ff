"""What errors of S3, botocore and the network mean for nst: may pass, no such object, or for the user to correct."""

from __future__ import annotations

import os
from typing import Any

import aiohttp
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from nst.errors import UserError
from nst.redaction import redacted
from tasks.store.patience import PassingError, UnreachableError
from tasks.store.transport import NO_CONNECTION, may_pass

TRANSLATED = (
    ResponseParserError,
    boto.BotoCoreError,
    boto.ClientError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    ValueError,
)
_PASSING_STATUS = {408, 409, 425, 429}
_PASSING_CODES = {
    "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "InternalError", "OperationAborted", "RequestTimeout",
    "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_NO_CREDENTIALS = (
    boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.ProfileNotFound,
    boto.NoAuthTokenError, boto.TokenRetrievalError, boto.UnauthorizedSSOTokenError,
)  # fmt: skip
_PASSING = (
    boto.EndpointConnectionError, boto.ConnectionClosedError, boto.ReadTimeoutError, boto.ResponseStreamingError,
    boto.IncompleteReadError, boto.ChecksumError, boto.FlexibleChecksumError,
)  # fmt: skip


def _answer_of(error: BaseException) -> dict[str, Any]:
    """Return the server's answer that `error` is about, {} if no answer came."""
    return dict(error.response) if isinstance(error, boto.ClientError) else {}


def status_of(error: BaseException) -> int:
    """Return the HTTP status that `error` is about, 0 if no answer came."""
    return int(_answer_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def translate(error: Exception, what: str, endpoint: str | None) -> Exception:
    """Return the error to raise instead of `error`.

    Args:
        error: One of `TRANSLATED`.
        what: The operation, e.g. "get s3://bucket/key".
        endpoint: The endpoint that the client was configured with, if any.

    Returns:
        `PassingError` if a retry may succeed, FileNotFoundError for an absent object, else `UserError`. Texts of the
        server other than the error code are left out, since some servers repeat keys and signatures in them.
    """
    where = place_of(endpoint)
    if status_of(error):
        return _translate_answer(error, what, where)
    if isinstance(error, _NO_CREDENTIALS):
        return UserError(f"{what}: no credentials", hint="set AWS_ACCESS_KEY_ID and its secret, or AWS_PROFILE")
    if passing := _passing(error, where):
        return passing
    cause = _cause(error)
    if isinstance(error, boto.ParamValidationError | boto.EndpointProviderError) or isinstance(cause, ValueError):
        return UserError(
            f"{what}: not a valid bucket, key or endpoint ({where})",
            hint="write s3://bucket/prefix; an endpoint is https://host",
        )
    return UserError(
        f"{what}: {type(cause).__name__} before {where} was asked",
        hint="check region, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE and the configuration files of AWS",
    )


def _cause(error: Exception) -> object:
    """Return the error that botocore reports in its own words, or `error` if it reports none."""
    return getattr(error, "kwargs", {}).get("error", error)


def _passing(error: Exception, where: str) -> PassingError | None:
    """Return the error to raise for one that may pass although no answer came; None if it comes again."""
    cause = _cause(error)
    if isinstance(error, boto.ConnectTimeoutError | boto.ProxyConnectionError) or isinstance(cause, NO_CONNECTION):
        return UnreachableError(f"no connection to {where} ({type(error).__name__})")
    if isinstance(error, ResponseParserError) or isinstance(cause, aiohttp.ClientResponseError):
        return UnreachableError(f"an answer of {where} that is none of an S3 server")
    if isinstance(error, _PASSING) or may_pass(cause):
        return PassingError(f"{type(error).__name__} at {where}")
    return None


def place_of(endpoint: str | None) -> str:
    """Return the address of the server, given the endpoint that the client was configured with, if any."""
    found = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "amazonaws.com"
    return redacted(found)


def _translate_answer(error: Exception, what: str, where: str) -> Exception:
    status = status_of(error)
    code = str(_answer_of(error).get("Error", {}).get("Code", ""))
    seen = f"HTTP {status} {code}".rstrip()
    if (500 <= status < 600 and status != 501) or status in _PASSING_STATUS or code in _PASSING_CODES:
        return PassingError(seen)
    if code == "NoSuchBucket":
        return UserError(f"{what}: no such bucket at {where}", hint="create the bucket, or set AWS_ENDPOINT_URL_S3")
    if status == 404:
        return FileNotFoundError(what)
    if status in {401, 403}:
        return UserError(
            f"{what}: access denied at {where} ({seen})",
            hint="check AWS_ACCESS_KEY_ID or AWS_PROFILE, the rights on the bucket, and AWS_ENDPOINT_URL_S3",
        )
    return UserError(f"{what}: refused by {where} ({seen})", hint="check bucket, region and endpoint")
