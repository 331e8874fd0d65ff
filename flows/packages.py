"""Makes sure that `tasks` and `nst` are nst's own packages, since their names are common.

A package of the same name that lies earlier on Python's path (a `tasks.py` in a folder of PYTHONPATH, another
distribution) would otherwise show as an ImportError somewhere inside.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGES: Final = ("tasks", "nst")


def foreign_packages() -> list[tuple[str, str]]:
    """Return the packages that Python would import from elsewhere, each with where it lies."""
    home = Path(__file__).parent.parent
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None or origin.parent != home / name:
            found.append((name, str(origin or "nowhere")))
    return found


def refuse_foreign_packages() -> None:
    """Leave with one line and exit code 2 if a package of ours is hidden by another one."""
    for name, origin in foreign_packages():
        home = Path(__file__).parent.parent
        print(  # noqa: T201 - nothing of nst can be imported yet
            f"error: Python finds another package named {name!r} ({origin}), expected that of nst in {home} "
            "(remove its folder from PYTHONPATH, or install nst into an environment of its own)",
            file=sys.stderr,
        )
        sys.exit(2)
