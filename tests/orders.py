"""Plans of manifests, as the commands make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.order.request import Request, order_of
from tasks.root import open_root

if TYPE_CHECKING:
    from pathlib import Path


def planned(manifest: str | Path, root: str | Path) -> Any:
    """Return the planned sweep or training of a manifest below a root."""
    return order_of(Request(str(manifest), open_root(str(root)))).prepared
