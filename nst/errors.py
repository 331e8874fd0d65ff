"""The errors of nst, and the record of one fault in a manifest. Every room may raise from it.

    NstError
    |-- UserError              edit something; exit code 2; never retried
    |   |-- ManifestError      the manifest: every problem at once, with file:line:column
    |   `-- InputError         an input that the user named: an image, a weights file, a folder
    |   |   `-- UnreadableError  too many bytes, too slow ones, no file, or no answer (tasks.store.contract)
    |   `-- NotStartedError    the private Prefect server does not answer; a run goes on (tasks.prefect.process)
    |-- NumericalError         a loss or a picture went wrong; recorded, not retried
    |   `-- Unhealthy          a training cannot go on (nst.training.health)
    |-- OutOfMemory            the device's memory is too small for the cell even alone
    |-- TransientError         may pass: retried under the policy of the task
    |   |-- StorageError       the object store gave up after its deadline
    |   `-- WorkerLost         the device worker died or hung (killed, stopped, lost GPU)
    |-- DeviceError            a device fails its self-test, or none is left that passes it; no cell is to blame
    |-- NightFailed            some manifests of a nightly run failed (flows.order.night)
    `-- Stopped                a signal, not a failure: the run was asked to end (flows.stop)
        |-- LeftAlone          somebody stopped waiting or watching, and nothing is left undone by that
        `-- Withdrawn          somebody has withdrawn the sweep or the training (tasks.work.sharing)

The class *is* the retry policy: `TransientError` is retried, nothing else is. No message and no hint holds the
credentials of a location (`nst.redaction`), since errors are printed, logged and kept in tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

from nst.redaction import redacted


class NstError(Exception):
    """Base of all errors that nst raises on purpose.

    Args:
        message: One line: what was found and what was expected.
        hint: What the user may do about it, or "".
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = redacted(message)
        self.hint = redacted(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `hint` when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[NstError], message: str, hint: str) -> NstError:
    return kind(message, hint=hint)


class UserError(NstError):
    """Something that the user wrote or named must change."""


class InputError(UserError):
    """An input image, mask, weights file or folder cannot be used."""


class NumericalError(NstError):
    """A loss is not finite, or a picture is constant or saturated."""


class OutOfMemory(NstError):
    """The device cannot hold this cell even alone."""


class TransientError(NstError):
    """May pass by itself."""


class StorageError(TransientError):
    """The object store did not answer well before the deadline."""


class WorkerLost(TransientError):
    """A device worker process died, or was killed since it gave no sign of life.

    Attributes:
        workplace: The columns `worker` and `device` of the catalog, as far as they are known.
    """

    workplace: Mapping[str, str | None] = MappingProxyType({})


class DeviceError(NstError):
    """A device fails its self-test, or no device is left that passes it: what it was to compute is not to blame.

    Not retried by the run that meets it, since the device does not recover by waiting.
    """


class Stopped(NstError):
    """The run was asked to stop: what is committed stays, the rest is left to the next run.

    A signal, not a failure: it is an `NstError` so that no handler reports it as a bug.
    """


class LeftAlone(Stopped):
    """Somebody stopped waiting for something or watching it: nothing is left undone by that."""


class Withdrawn(Stopped):
    """Somebody has withdrawn what this run takes part in: what is committed stays, and nobody does the rest."""


FaultKind = Literal["missing", "unknown", "choice", "other"]
"""What is wrong, for code to ask; messages and hints are for people alone. `missing`: a key that there must be;
`unknown`: a key that its block does not have; `choice`: a word that is none of those to choose from."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a manifest.

    Attributes:
        file: URI or path of the manifest, as the user named it.
        line: 1-based. column: 1-based.
        message: What was found and what was expected.
        hint: What the user may do about it, or "".
        excerpt: The line of the manifest with a mark below the fault (`nst.yaml.problems.excerpt`), or "".
        kind: What is wrong.
        meant: The key or word that was probably meant, "" if none comes near; of a missing key, its name.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    excerpt: str = ""
    kind: FaultKind = "other"
    meant: str = ""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        excerpt = f"\n{self.excerpt}" if self.excerpt else ""
        return f"{self.file}:{self.line}:{self.column}: error: {self.message}{hint}{excerpt}"


class ManifestError(UserError):
    """Every problem of one manifest, sorted by position."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column)))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[object, ...]:
        return (ManifestError, (self.problems,))
