"""Validates and identifies the points of a sweep over one kind of settings, without building each of them.

Settings that axes touch are validated group by group (`nst.manifest.groups`), once for every value of the settings
that decide what others are filled with where these are left out (`Settings.DECIDES`). The identity of a variant
is then put together from the canonical texts of its settings.
"""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic

from pydantic import ValidationError

from nst.identity import fragments, pixel_fields, settings_key
from nst.manifest.checking import check, check_conflicts, check_layers, check_loose
from nst.manifest.groups import group_dimensions, joined
from nst.manifest.idle import NOTHING, Checked, Idle
from nst.manifest.named import Config
from nst.manifest.variants import Variants, unravel

if TYPE_CHECKING:
    from nst.config.effects import NoEffect
    from nst.manifest.groups import Group, Indices
    from nst.manifest.named import NamedSettings
    from nst.manifest.points import Axis, Sweep
    from nst.yaml.problems import Fault
    from nst.yaml.reporter import Reporter

_MOST_FAILURES: Final = 200
_MOST_VALUES: Final = 2_000
"""Failing values, and values of one axis, that are looked at in a manifest that has problems: explaining a fault is
slow, and one fault elsewhere can make every value of a long axis fail."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """The settings of all points that share the values of the deciding settings.

    Attributes:
        base: All settings, at the first value of every axis but those of the deciding settings.
        groups: For each group without deciding settings, by the indices along its dimensions, the settings that it
            touches.
    """

    base: Checked
    groups: list[dict[Indices, Checked]]


def make_variants(
    named: NamedSettings[Config], sweep: Sweep, report: Reporter, *, whole: bool = False
) -> Variants[Config] | None:
    """Return all variants, or None if `report` has problems, found here or before.

    Args:
        named: The settings as written.
        sweep: Their axes.
        report: Receives the problems, of the settings as written and of the values of the axes.
        whole: Validate every variant as a whole, which is slow and certain (for tests).
    """
    return _Builder(named, sweep, report, whole=whole).build()


class _Builder(Generic[Config]):
    def __init__(self, named: NamedSettings[Config], sweep: Sweep, report: Reporter, *, whole: bool) -> None:
        self._named = named
        self._settings = named.settings
        self._sweep = sweep
        self._reporter = report
        self._reported_ranges: set[str] = set()
        groups = group_dimensions(named.settings, sweep, whole=whole)
        deciding = [group for group in groups if group.fields & named.settings.DECIDES]
        self._deciding = joined(deciding)
        self._groups = [group for group in groups if group not in deciding]

    def build(self) -> Variants[Config] | None:
        self._check_base()
        start = dict.fromkeys(range(len(self._sweep.dimensions)), 0)
        tables: dict[Indices, _Tables] = {}
        for indices in self._deciding.points(self._sweep):
            point = start | dict(zip(self._deciding.dimensions, indices, strict=True))
            base = self._validate(point) or NOTHING
            tables[indices] = _Tables(base, [self._table(group, point) for group in self._groups])
            if self._reporter.problems and len(tables) > _MOST_FAILURES:
                break
        if self._reporter.problems:
            return None
        variants = self._combine(tables)
        for first in variants.first:
            point = dict(enumerate(unravel(first, self._sweep.lengths)))
            config = variants.config(first)
            for fault in (*check_layers(self._raw(point), config), *check_conflicts(config)):
                self._report(fault, point)
        return None if self._reporter.problems else variants

    def _check_base(self) -> None:
        """Validate the settings as written: an axis must not hide a fault of what it replaces."""
        for fault in check(self._settings, self._named.raw)[1]:
            if fault.path or not self._sweep.dimensions:
                self._reporter.add_fault(fault.below(self._named.path))

    def _table(self, group: Group, point: dict[int, int]) -> dict[Indices, Checked]:
        """Return the settings of a group, at every combination of its indices and else at `point`."""
        table: dict[Indices, Checked] = {}
        failures = 0
        for indices in group.points(self._sweep):
            checked = self._validate(point | dict(zip(group.dimensions, indices, strict=True)), group.fields)
            failures += checked is None
            known_faulty = self._reporter.problems and len(table) > _MOST_VALUES
            if self._reporter.full or failures > _MOST_FAILURES or known_faulty:
                break
            table[indices] = checked or NOTHING
        return table

    def _validate(self, point: dict[int, int], fields: frozenset[str] | None = None) -> Checked | None:
        """Validate one point and return its settings, or those of `fields`; None if it has faults."""
        raw = self._raw(point)
        try:
            config = self._settings.model_validate(raw)
        except ValidationError:
            for fault in check(self._settings, raw)[1]:
                self._report(fault, point)
            return None
        for axis, _ in self._axes_at(point):
            value: Any = raw
            checked: Any = config
            for key in axis.keys:
                value = value.get(key)
                checked = getattr(checked, key, None)
            for fault in check_loose(value, checked):
                self._report(fault.below(axis.keys), point)
        values = {field: getattr(config, field) for field in fields or self._settings.model_fields}
        return Checked(fragments(config, fields), values)

    def _axes_at(self, point: dict[int, int]) -> list[tuple[Axis, int]]:
        """Return every axis with the index of its value at a point."""
        return [(axis, point[number]) for number, dimension in enumerate(self._sweep.dimensions) for axis in dimension]

    def _raw(self, point: dict[int, int]) -> dict[str, Any]:
        """Return the settings as written with the values of the axes at a point put in."""
        raw = dict(self._named.raw)
        for axis, index in self._axes_at(point):
            block = raw
            for key in axis.keys[:-1]:
                inner = block.get(key)
                block[key] = dict(inner) if isinstance(inner, dict) else {"name": inner} if inner else {}
                block = block[key]
            block[axis.keys[-1]] = axis.values[index]
        return raw

    def _report(self, fault: Fault, point: dict[int, int]) -> None:
        """Report a fault of the settings at a point where the manifest gives the value: in an axis, or beside them."""
        for axis, index in self._axes_at(point):
            keys = len(axis.keys)
            if fault.path[:keys] == axis.keys:
                self._report_value(axis, index, replace(fault, path=fault.path[keys:]))
                return
        self._reporter.add_fault(fault.below(self._named.path))

    def _report_value(self, axis: Axis, index: int, fault: Fault) -> None:
        """Report a fault of a value of an axis."""
        hint = fault.hint
        if not axis.listed:
            if axis.setting in self._reported_ranges:
                return  # a range is wrong once, not once per value
            self._reported_ranges.add(axis.setting)
            hint = hint or f"it is value {index + 1} of {len(axis.values)}: list the values that you want"
            fault = replace(fault, path=(), key=False)
        if self._named.path[0] == "methods":  # the axis alone does not tell which of them refuses the value
            hint = "; ".join(filter(None, (f"the method is {self._named.name}", hint)))
        # A setting that its block does not have is wrong once, not once per value.
        path = axis.path_of(index) if fault.path or not fault.key else axis.path
        self._reporter.add_fault(replace(fault, hint=hint).below(path))

    def _combine(self, tables: dict[Indices, _Tables]) -> Variants[Config]:
        """Put the identity and structure of every variant together from the texts of its settings."""
        settings: list[bytes] = []
        effective: list[bytes] = []
        no_effect: list[tuple[NoEffect, ...]] = []
        structure: array[int] = array("L")
        first: list[int] = []
        numbers: dict[str, int] = {}
        by_indices: dict[tuple[Indices, ...], int] = {}
        varies = self._settings.VARIES
        fields = pixel_fields(self._settings)
        deciding = self._deciding.dimensions
        selectors = [group.dimensions for group in self._groups]
        fixed = [not group.fields <= varies for group in self._groups]
        idle = Idle(self._settings, self._deciding, self._groups)
        for point in itertools.product(*map(range, self._sweep.lengths)):
            outer = tuple(point[d] for d in deciding)
            table = tables[outer]
            chosen = [tuple(point[d] for d in dimensions) for dimensions in selectors]
            parts = [group[indices] for group, indices in zip(table.groups, chosen, strict=True)]
            texts = table.base.texts.copy()
            for part in parts:
                texts.update(part.texts)
            token = (outer, *itertools.compress(chosen, fixed))
            number = by_indices.get(token)
            if number is None:
                text = "\n".join(texts[field] for field in sorted(texts) if field not in varies)
                number = by_indices[token] = numbers.setdefault(text, len(numbers))
                if number == len(first):
                    first.append(len(settings))
            structure.append(number)
            settings.append(settings_key(texts, fields))
            rules = idle.rules(outer, chosen, (table.base, *parts))
            no_effect.append(rules)
            without = idle.texts(rules, (table.base, *parts))
            effective.append(settings_key(texts | without, fields) if without else settings[-1])
        config = lru_cache(16_384)(self._config)
        paths = [self._named.path] * len(first)
        return Variants(self._sweep, settings, effective, no_effect, structure, first, config, paths)

    def _config(self, variant: int) -> Config:
        indices = unravel(variant, self._sweep.lengths)
        return self._settings.model_validate(self._raw(dict(enumerate(indices))))
