"""What short trials on this machine measured (`tasks.work.calibration`), kept in the user's cache. Never torch."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nst.planning.rates import Calibration
from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.planning.rates import Rate


def kept_calibrations(device: str = "") -> dict[Rate, Calibration]:
    """Return what was measured on a device of this machine; by default on the device that was measured last.

    A file that is missing or damaged counts as empty.
    """
    kept = _read()
    device = device or next(reversed(kept), "")
    found: dict[Rate, Calibration] = {}
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        for text, measured in kept.get(device, {}).items():
            method, backbone, precision = from_json(text)
            found[method, backbone, precision] = Calibration(**{key: float(value) for key, value in measured.items()})
    return found


def keep_calibrations(device: str, measured: Mapping[Rate, Calibration]) -> None:
    """Remember what was measured on a device; a folder that refuses costs only the time of the next trial."""
    kept = _read()
    known = kept.pop(device, {})
    news = {json.dumps(rate): asdict(calibration) for rate, calibration in measured.items()}
    kept[device] = {**(known if isinstance(known, dict) else {}), **news}
    path = _path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps(kept))
        written.replace(path)


def _read() -> dict[str, dict[str, dict[str, float]]]:
    try:
        kept = from_json(_path().read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _path() -> Path:
    """Return the file of this machine's trials in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "nst" / "calibration.json"
