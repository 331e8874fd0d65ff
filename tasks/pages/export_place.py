"""Where an export may be written: not among the files of the root, nor over an export of the other form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nst.errors import InputError

if TYPE_CHECKING:
    from tasks.store import Store


def refuse_root(store: Store, folder: Path) -> None:
    """Refuse to export into the root, below it, or into a folder that it lies in.

    Args:
        store: The objects of the root.
        folder: The folder or archive that is to be written.

    Raises:
        InputError: It is one of them.
    """
    if not store.uri.startswith("file://"):
        return
    root, target = Path(store.uri.removeprefix("file://")).resolve(), folder.resolve()
    if target == root:
        where = "is the root itself"
    elif root in target.parents:
        where = f"lies below the root {root}"
    elif target in root.parents:
        where = f"holds the root {root}"
    else:
        return
    raise InputError(f"cannot export to {folder}: it {where}", hint="name a folder beside the root")


def refuse_mixture(folder: Path, *, page: bool) -> None:
    """Refuse to export with a page into a folder that holds an export without one, and the other way round.

    Names of pictures differ between the two forms, and the folder would hold both.

    Args:
        folder: The folder or archive that is to be written; an archive is replaced whole.
        page: Whether a page is to be written.

    Raises:
        InputError: The folder holds an export of the other form.
    """
    has_page = (folder / "index.html").is_file()
    if folder.is_dir() and (folder / "catalog.csv").is_file() and has_page != page:
        holds, hint = ("a page", "pass --page") if has_page else ("no page", "leave out --page")
        raise InputError(f"{folder} holds an earlier export with {holds}", hint=f"{hint}, or name another folder")
