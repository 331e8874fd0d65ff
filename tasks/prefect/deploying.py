"""What is checked before a deployment is made; `deploy.yaml` names it as a build step."""

from __future__ import annotations


def require_root(root: str | None = None) -> dict[str, str]:
    """Refuse a deployment that would run every night without a root.

    Args:
        root: URI of the root, from the environment in which `prefect deploy` runs.

    Raises:
        SystemExit: None is set. Prefect would show a trace of any other error.
    """
    if not root:
        message = "error: NST_ROOT is not set, expected the URI of the root that the nightly runs work on"
        raise SystemExit(f"{message} (NST_ROOT=s3://bucket/prefix prefect deploy ...)")
    return {}
