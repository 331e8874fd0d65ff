"""The points of a sweep over one method's settings, validated and identified without building each of them.

Settings that axes touch are validated group by group: axes that share a top-level setting together, all others by
themselves, once for every value of a preset (which decides what the others leave out). A variant's identity is then
put together from the canonical text of its settings. Where a method's settings depend on each other through a
validator of their own, all axes are one group, so that every variant is validated whole.
"""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import ValidationError

from nst.config.block import Settings
from nst.identity import fragments, pixel_fields, settings_key
from nst.manifest.checking import check, check_layers, check_loose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nst.config.fields import Needs
    from nst.config.method import Method
    from nst.manifest.explain import Fault
    from nst.manifest.points import Rule, Sweep
    from nst.yaml.positions import Path
    from nst.yaml.problems import Reporter

_FAILURES: Final = 200
_VALUES: Final = 2_000
"""Where a manifest has problems, so many failing values and so many values of an axis are looked at."""

Parts = dict[str, str]

Kind = TypeVar("Kind", bound=Settings)


@dataclass(frozen=True, eq=False)
class Variants(Generic[Kind]):
    """Every parameter point of a manifest, in the order of its axes, the last one fastest.

    Attributes:
        sweep: The axes and rules.
        settings: Per variant, the key of its settings (`nst.identity.settings_key`).
        structure: Per variant, the number of its structure: variants of one structure may share a batch.
        first: Per structure, its first variant.
        config: Returns the validated settings of a variant.
        where: Per structure, the path of its method in the manifest.
    """

    sweep: Sweep
    settings: list[bytes]
    structure: array[int]
    first: list[int]
    config: Callable[[int], Kind]
    where: list[Path]

    def __len__(self) -> int:
        return len(self.settings)

    @cached_property
    def needs(self: Variants[Method]) -> list[Needs]:
        """Per structure, the images that its cells are made from."""
        return [self.config(first).needs for first in self.first]

    def kinds(self: Variants[Method]) -> tuple[list[Needs], list[int]]:
        """Return the distinct `needs`, and for each variant the number of its own."""
        kinds = list(dict.fromkeys(self.needs))
        of_structure = [kinds.index(needs) for needs in self.needs]
        return kinds, [of_structure[number] for number in self.structure]

    def matching(self, rule: Rule) -> list[int]:
        """Return the variants that a rule of the sweep matches."""
        return self.sweep.matching(rule)

    def values(self, variant: int) -> dict[str, Any]:
        """Return what the axes set in a variant, by dotted path."""
        indices = unravel(variant, self.sweep.lengths)
        return {
            axis.path: axis.values[index]
            for dimension, index in zip(self.sweep.dimensions, indices, strict=True)
            for axis in dimension
        }


def unravel(number: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Return the index along each dimension of point `number`, the last dimension being the fastest."""
    indices = []
    for length in reversed(lengths):
        number, index = divmod(number, length)
        indices.append(index)
    return tuple(reversed(indices))


def make_variants(
    model: type[Kind],
    base: Mapping[str, Any],
    sweep: Sweep,
    report: Reporter,
    *,
    where: Path = ("method",),
    whole: bool = False,
) -> Variants[Kind] | None:
    """Return all variants, or None if `report` has problems: found here, in `method` or in the axes' values, or before.

    Args:
        model: The settings of the method.
        base: `method` as written.
        sweep: Its axes.
        report: Receives the problems.
        where: Path of `base` in the manifest.
        whole: Validate every variant whole, as the slow and certain way (for tests).
    """
    return _Builder(model, base, sweep, report, where, whole=whole).build()


class _Builder(Generic[Kind]):
    def __init__(
        self,
        model: type[Kind],
        base: Mapping[str, Any],
        sweep: Sweep,
        report: Reporter,
        where: Path,
        *,
        whole: bool,
    ) -> None:
        self.model = model
        self.base = base
        self.sweep = sweep
        self.report = report
        self.where = where
        self.told: set[str] = set()
        self.groups = _groups(model, sweep, whole=whole)

    def build(self) -> Variants[Kind] | None:
        self._check_base()
        contexts = [g for g in self.groups if self.model.PRESET in g.fields]
        others = [g for g in self.groups if self.model.PRESET not in g.fields]
        start = dict.fromkeys(range(len(self.sweep.dimensions)), 0)
        tables: dict[tuple[int, ...], tuple[Parts, list[dict[tuple[int, ...], Parts]]]] = {}
        for combo in _combos(contexts[0], self.sweep) if contexts else [()]:
            point = start | (dict(zip(contexts[0].dimensions, combo, strict=True)) if contexts else {})
            base = self._parts(point, None) or {}
            tables[combo] = (base, [self._table(group, point) for group in others])
            if self.report.problems and len(tables) > _FAILURES:
                break
        if self.report.problems:
            return None
        variants = self._combine(contexts, others, tables)
        for first in variants.first:
            point = dict(enumerate(unravel(first, self.sweep.lengths)))
            for fault in check_layers(self._raw(point), variants.config(first)):
                self._report(fault, fault.path, point)
        return None if self.report.problems else variants

    def _check_base(self) -> None:
        """Validate `method` as written: an axis must not hide a fault of what it replaces."""
        for fault in check(self.model, self.base)[1]:
            if fault.path or not self.sweep.dimensions:
                self.report.add((*self.where, *fault.path), fault.message, fault.hint, key=fault.key)

    def _table(self, group: _Group, point: dict[int, int]) -> dict[tuple[int, ...], Parts]:
        table: dict[tuple[int, ...], Parts] = {}
        failures = 0
        for combo in _combos(group, self.sweep):
            parts = self._parts(point | dict(zip(group.dimensions, combo, strict=True)), group.fields)
            failures += parts is None
            # Explaining a fault is slow, and one fault elsewhere can make every value of a long axis fail.
            if self.report.full or failures > _FAILURES or (self.report.problems and len(table) > _VALUES):
                break
            table[combo] = parts or {}
        return table

    def _parts(self, point: dict[int, int], fields: frozenset[str] | None) -> Parts | None:
        """Validate one point and return the canonical texts of its settings (of `fields`)."""
        raw = self._raw(point)
        try:
            config = self.model.model_validate(raw)
        except ValidationError:
            for fault in check(self.model, raw)[1]:
                self._report(fault, fault.path, point)
            return None
        for axis, _ in self._set(point):
            value: Any = raw
            checked: Any = config
            for part in axis.keys:
                value = value.get(part)
                checked = getattr(checked, part, None)
            for fault in check_loose(value, checked):
                self._report(fault, (*axis.keys, *fault.path), point)
        return fragments(config, fields)

    def _set(self, point: dict[int, int]) -> list[tuple[Any, int]]:
        return [(axis, point[number]) for number, dimension in enumerate(self.sweep.dimensions) for axis in dimension]

    def _raw(self, point: dict[int, int]) -> dict[str, Any]:
        """Return `method` with the values of the axes at a point put in."""
        raw = dict(self.base)
        for axis, index in self._set(point):
            block = raw
            for part in axis.keys[:-1]:
                inner = block.get(part)
                block[part] = dict(inner) if isinstance(inner, dict) else {"name": inner} if inner else {}
                block = block[part]
            block[axis.keys[-1]] = axis.values[index]
        return raw

    def _report(self, fault: Fault, path: Path, point: dict[int, int]) -> None:
        """Report a fault at `path` below `method` where the manifest gave the value of this point."""
        for axis, index in self._set(point):
            rest = path[len(axis.keys) :]
            if path[: len(axis.keys)] != axis.keys:
                continue
            if axis.listed:
                # A setting that its block does not have is wrong once, not once per value.
                at = (*axis.position(index), *rest) if rest or not fault.key else axis.where
                self.report.add(at, fault.message, self._hint(fault.hint), key=fault.key)
            elif axis.path not in self.told:
                self.told.add(axis.path)  # a range is wrong once, not once per value
                hint = fault.hint or f"it is value {index + 1} of {len(axis.values)}; list the values you want"
                self.report.add(axis.where, fault.message, self._hint(hint))
            return
        self.report.add((*self.where, *path), fault.message, fault.hint, key=fault.key)

    def _hint(self, hint: str) -> str:
        """Return a hint about an axis: of several methods, which one does not take the value."""
        return hint if self.where[0] != "methods" else ": ".join(filter(None, (f"for {self.base['name']}", hint)))

    def _combine(
        self,
        contexts: list[_Group],
        others: list[_Group],
        tables: dict[tuple[int, ...], tuple[Parts, list[dict[tuple[int, ...], Parts]]]],
    ) -> Variants[Kind]:
        """Put every variant's identity and structure together from the texts of its settings."""
        settings: list[bytes] = []
        structure: array[int] = array("L")
        first: list[int] = []
        numbers: dict[str, int] = {}
        by_combo: dict[tuple[tuple[int, ...], ...], int] = {}
        varies = self.model.VARIES
        fields = pixel_fields(self.model)
        selectors = [group.dimensions for group in others]
        free = [all(field in varies for field in group.fields) for group in others]
        context = contexts[0].dimensions if contexts else ()
        for point in itertools.product(*map(range, self.sweep.lengths)):
            outer = tuple(point[d] for d in context)
            base, inner = tables[outer]
            combos = [tuple(point[d] for d in chosen) for chosen in selectors]
            parts = base.copy()
            for table, combo in zip(inner, combos, strict=True):
                parts.update(table[combo])
            token = (outer, *(combo for combo, vary in zip(combos, free, strict=True) if not vary))
            number = by_combo.get(token)
            if number is None:
                text = "\n".join(parts[field] for field in sorted(parts) if field not in varies)
                number = by_combo[token] = numbers.setdefault(text, len(numbers))
                if number == len(first):
                    first.append(len(settings))
            structure.append(number)
            settings.append(settings_key(parts, fields))
        where = [self.where] * len(first)
        return Variants(self.sweep, settings, structure, first, lru_cache(16_384)(self._config), where)

    def _config(self, variant: int) -> Kind:
        indices = unravel(variant, self.sweep.lengths)
        return self.model.model_validate(self._raw(dict(enumerate(indices))))


@dataclass(frozen=True, slots=True)
class _Group:
    """Dimensions that are validated together, and the top-level settings that they touch."""

    dimensions: tuple[int, ...]
    fields: frozenset[str]


def _combos(group: _Group, sweep: Sweep) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(sweep.lengths[number]) for number in group.dimensions))


def _groups(model: type[Settings], sweep: Sweep, *, whole: bool) -> list[_Group]:
    """Return the dimensions grouped by the settings they share; one group of all if the method ties settings."""
    groups: list[_Group] = []
    for number, dimension in enumerate(sweep.dimensions):
        fields = frozenset(axis.keys[0] for axis in dimension)
        joined = [group for group in groups if group.fields & fields]
        groups = [group for group in groups if group not in joined]
        dimensions = (*(d for group in joined for d in group.dimensions), number)
        groups.append(_Group(tuple(sorted(dimensions)), fields.union(*(group.fields for group in joined))))
    if groups and (
        whole or not model.INDEPENDENT_VALIDATORS.issuperset(model.__pydantic_decorators__.model_validators)
    ):
        return [_Group(tuple(range(len(sweep.dimensions))), frozenset(model.model_fields))]
    return groups
