"""The extra `video`, without which no clip can be painted: PyAV for files, OpenCV for motion."""

from __future__ import annotations

from importlib import import_module

from tasks.clips.containers import library


def check_extra() -> None:
    """Refuse clips where PyAV or OpenCV cannot be imported.

    Every clip needs both, whatever its method and its files are: a shot ends where the motion of the content says so,
    and the row of a clip says how steady it is.

    Raises:
        InputError: One of them is missing, or is installed without a library that it needs.
    """
    library()
    import_module("nst.motion")
