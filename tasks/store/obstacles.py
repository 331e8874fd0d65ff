"""What stands in the place of folders below a local root: a link to a disk that is away would fail every cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.errors import UserError
from tasks.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.store.contract import Store

_NAMED: Final = 3


def check_folders(store: Store, prefixes: Iterable[str]) -> None:
    """Refuse a local root in which something else stands in the place of a folder.

    Args:
        store: The objects of the root; those of a bucket are in no folders.
        prefixes: Keys of folders, in which objects lie in folders of two letters.

    Raises:
        UserError: With the first of what stands there.
    """
    if not isinstance(store, LocalStore):
        return
    found = [f"{name} is {what}" for prefix in prefixes for name, what in _obstacles(Path(store.root, prefix))]
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        message = f"below the root, where folders must be, {', '.join(found[:_NAMED])}{more}"
        raise UserError(message, hint="mount the disk that a link leads to, or remove what stands there")


def _obstacles(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path of what is no folder and must be one, and words for what it is."""
    if what := _no_folder(folder):
        yield folder, what
    elif folder.is_dir():
        for path in sorted(folder.iterdir()):
            if len(path.name) == 2 and (what := _no_folder(path)):
                yield path, what


def _no_folder(path: Path) -> str:
    """Return words for what a name holds, "" for a folder or nothing."""
    if path.is_dir():
        return ""
    if path.is_symlink() and not path.exists():
        return "a link to nothing"
    return "no folder" if path.exists() else ""
