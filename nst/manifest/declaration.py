"""What a manifest says, read once with the manifests that it extends, before any of it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nst.manifest.bases import with_bases
from nst.manifest.fastest import asks_for_fastest, with_fastest
from nst.manifest.overrides import with_overrides
from nst.yaml.problems import describe
from nst.yaml.reporter import Reporter
from nst.yaml.text import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.config.fields import Precision
    from nst.errors import Problem
    from nst.manifest.bases import ReadBase
    from nst.yaml.positions import Document, Where


@dataclass(frozen=True, slots=True, eq=False)
class Declaration:
    """A manifest as it is written, laid over those that it extends.

    Attributes:
        raw: Its keys and values.
        positions: Where they stand.
        problems: Faults of the YAML after which reading could go on.
        base_unreadable: Whether a manifest that it extends could not be read, which is one of the `problems`.
        changes: The changes that are laid over it, as written.
        fastest: What `precision: auto` stands for in it; None where nothing says so.
        without: Returns what is declared without the change of a number.
    """

    raw: dict[str, Any]
    positions: Where
    problems: tuple[Problem, ...]
    base_unreadable: bool
    changes: tuple[str, ...]
    fastest: Precision | None
    without: Callable[[int], Declaration]

    @property
    def kind(self) -> Literal["sweep", "train"]:
        """What the manifest declares: a sweep, or networks to be trained."""
        return "train" if self.raw.get("kind") == "train" else "sweep"

    def reporter(self) -> Reporter:
        """Return what collects the problems of the manifest, those of the YAML among them."""
        return Reporter(self.positions, self.problems, complete=not self.base_unreadable)


def read_declaration(
    text: str,
    file: str,
    read_base: ReadBase | None = None,
    overrides: Sequence[str] = (),
    fastest: Callable[[], Precision] | None = None,
) -> Declaration:
    """Return what the YAML text of a manifest says.

    Args:
        text: The manifest.
        file: What messages call it.
        read_base: Reads the manifests that it extends; without it, `extends` is refused.
        overrides: Changes that are laid over all of that (`nst.manifest.overrides`).
        fastest: Returns what `precision: auto` stands for, asked only where a manifest says so; None where nothing
            may say so.

    Raises:
        ManifestError: The text is not YAML, or not a mapping; or a change cannot be read.
    """
    document, complete = with_bases(load(text, file), file, read_base)
    if not isinstance(document.value, dict):
        found = "an empty file" if document.value is None else describe(document.value)
        report = Reporter(document.positions, document.problems)
        report.add((), f"found {found}, expected a mapping", "start with `name: my-sweep`")
        report.raise_any()
    return _declared(document, tuple(overrides), fastest, complete=complete)


def _declared(
    document: Document, changes: tuple[str, ...], fastest: Callable[[], Precision] | None, *, complete: bool
) -> Declaration:
    """Return what a manifest declares with changes; `complete` says whether all that it extends could be read."""
    changed = with_overrides(document, changes)
    raw, precision = changed.value, None
    if fastest and asks_for_fastest(raw):
        precision = fastest()
        raw = with_fastest(raw, precision)

    def without(number: int) -> Declaration:
        return _declared(document, (*changes[:number], *changes[number + 1 :]), fastest, complete=complete)

    return Declaration(raw, changed.positions, changed.problems, not complete, changes, precision, without)
