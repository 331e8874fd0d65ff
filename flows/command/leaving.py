"""How the `nst` command leaves: the exit code of each kind of end, and the line that is said of it."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Final, NoReturn

from nst.errors import ManifestError, Stopped, TransientError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.command.terminal import Terminal

FAILED: Final = 1
CHANGE_SOMETHING: Final = 2
BUG: Final = 70
INTERRUPTED: Final = 130


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
    except Stopped as stop:
        err.say(stop)
        _leave_interrupted(err)
    except ManifestError as error:
        err.say(error)
        sys.exit(CHANGE_SOMETHING)
    except UserError as error:
        err.say(f"error: {error}")
        sys.exit(CHANGE_SOMETHING)
    except TransientError as error:
        err.say(f"error: {error}; what is done is kept, run again for the rest")
        sys.exit(FAILED)
    except BrokenPipeError:  # `nst plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception:  # noqa: BLE001  a bug
        traceback.print_exc()
        sys.exit(BUG)


def _leave_interrupted(err: Terminal) -> NoReturn:
    """Leave at once: threads that still wait for a store are left behind."""
    err.say("interrupted; what is done is kept, run again for the rest")
    sys.stdout.flush()
    os._exit(INTERRUPTED)
