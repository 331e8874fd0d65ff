"""What is checked before a deployment is made."""

from __future__ import annotations

from nst.errors import UserError


def require_root(root: str | None = None) -> dict[str, str]:
    """Refuse a deployment that would run every night without a root.

    Args:
        root: URI of the root, from the environment in which `prefect deploy` runs.

    Raises:
        UserError: None is set.
    """
    if not root or root.startswith("{{"):
        raise UserError(
            "NST_ROOT is not set, so that the nightly runs would have no root",
            hint="NST_ROOT=s3://bucket/prefix prefect deploy ...; on a worker's machine, a relative path means nothing",
        )
    return {}
