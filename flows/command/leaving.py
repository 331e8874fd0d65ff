"""How the `nst` command leaves: the exit code of each kind of end, and the line that is said of it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, Final, NoReturn

from nst.errors import DeviceError, LeftAlone, ManifestError, Stopped, TransientError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.command.terminal import Terminal

FAILED: Final = 1
CHANGE_SOMETHING: Final = 2
BUG: Final = 70
INTERRUPTED: Final = 130

_LAST_WORDS: Final = "interrupted; what is done is kept, run again for the rest"

_OF_THE_SYSTEM: Final = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EISDIR, errno.EMFILE, errno.ENAMETOOLONG, errno.ENFILE,
    errno.ENODEV, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS, errno.ESTALE,
})  # fmt: skip
"""What a disk, a mount or a folder refuses: the user's to change. Whatever else the system refuses is a bug of ours."""


def leave_by(command: Callable[[], object], err: Terminal) -> None:
    """Call the command, and leave the process with the code that its end has.

    Args:
        command: The command, made by typer.
        err: Where errors are said.
    """
    try:
        command()
    except SystemExit as leaving:
        if leaving.code != INTERRUPTED:  # what typer makes of KeyboardInterrupt
            raise
        _leave_interrupted(err)
    except LeftAlone as stop:
        _leave_interrupted(err, str(stop))
    except Stopped as stop:
        err.say(stop)
        _leave_interrupted(err)
    except UserError as error:
        err.say(error if isinstance(error, ManifestError) else f"error: {error}")
        sys.exit(CHANGE_SOMETHING)
    except (TransientError, DeviceError) as error:
        err.say(f"error: {error}; what is done is kept, run again for the rest")
        sys.exit(FAILED)
    except BrokenPipeError:  # `nst plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001  what the system refuses, or a bug
        if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
            err.say(f"error: {error.filename or _unnamed(error)}: {error.strerror}")
            sys.exit(CHANGE_SOMETHING)
        traceback.print_exc()
        sys.exit(BUG)


def _unnamed(error: OSError) -> str:
    """Return what an error is about that names no file: the working folder was removed, or the output is full."""
    return "the working folder" if error.errno == errno.ENOENT else "the output"


def _leave_interrupted(err: Terminal, words: str = _LAST_WORDS) -> NoReturn:
    """Leave at once: threads that still wait for a store are left behind."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        err.say(words)
        sys.stdout.flush()
    os._exit(INTERRUPTED)
