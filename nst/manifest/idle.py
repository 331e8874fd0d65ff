"""Which settings of a sweep's points have no effect (`nst.config.effects`), and the canonical texts without them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nst.identity import fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nst.config.block import Settings
    from nst.config.effects import NoEffect
    from nst.manifest.groups import Group, Indices

Texts = dict[str, str]
"""The canonical text of each setting (`nst.identity.fragments`)."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Settings of a point that were validated together: the canonical text and the value of each."""

    texts: Texts
    values: dict[str, Any]


NOTHING: Final = Checked({}, {})
"""The settings of a point that has faults."""


class Idle:
    """Finds the settings of the axes that have no effect, once for all points that agree in what decides it.

    Args:
        settings: The settings, which state the rules.
        deciding: The dimensions of the settings that decide what others are filled with.
        groups: All other dimensions.
    """

    def __init__(self, settings: type[Settings], deciding: Group, groups: Sequence[Group]) -> None:
        touched = frozenset[str]().union(*(group.fields for group in groups))
        if deciding.dimensions:  # they may decide every other setting
            touched = frozenset(settings.model_fields)
        self._candidates = [rule for rule in settings.NO_EFFECT if rule.field in touched]
        reads = frozenset[str]().union(*(rule.reads for rule in self._candidates))
        self._decides = [bool(group.fields & reads) for group in groups]
        self._found: dict[tuple[Indices, ...], tuple[NoEffect, ...]] = {}

    def rules(self, outer: Indices, chosen: Sequence[Indices], parts: Sequence[Checked]) -> tuple[NoEffect, ...]:
        """Return the rules that hold at a point, given its indices and its settings."""
        if not self._candidates:
            return ()
        token = (outer, *itertools.compress(chosen, self._decides))
        if token not in self._found:
            values = _values(parts)
            self._found[token] = tuple(rule for rule in self._candidates if rule.holds(values))
        return self._found[token]

    @staticmethod
    def texts(rules: Sequence[NoEffect], parts: Sequence[Checked]) -> Texts:
        """Return the canonical texts of the settings that rules concern, without what has no effect."""
        inner: dict[str, list[str]] = {}
        for rule in rules:
            inner.setdefault(rule.field, []).append(rule.inner)
        values = _values(parts)
        return {field: "" if "" in names else fragment(field, values[field], names) for field, names in inner.items()}


def _values(parts: Iterable[Checked]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in parts:
        values.update(part.values)
    return values
