"""The `exclude` rules of a sweep: which points are left out. A rule that leaves out nothing is an error."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from nst.manifest.points import Rule
from nst.yaml.problems import describe, keys_hint, one_of
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nst.manifest.points import Axis, Dimension
    from nst.yaml.positions import Path
    from nst.yaml.problems import Reporter

_INPUTS: Final = ("content", "style")
_SHOWN: Final = 8


def parse_rules(
    raw: Any,
    dimensions: Sequence[Dimension],
    refused: Collection[str],
    report: Reporter,
    methods: Sequence[str] = (),
) -> tuple[Rule, ...]:
    """Return the rules of `exclude`, reporting those that name no axis or match no value.

    Args:
        raw: The value of `exclude`.
        dimensions: The sound axes.
        refused: Paths of unsound axes, about which rules are not judged.
        report: Receives the problems.
        methods: Names of the methods; a rule may name one if there are several.
    """
    rules = []
    for index, rule in enumerate(raw if isinstance(raw, list) else [raw]):
        where: Path = ("sweep", "exclude", index) if isinstance(raw, list) else ("sweep", "exclude")
        if isinstance(rule, dict) and rule:
            before = len(report.problems)
            sound = _rule({k: v for k, v in rule.items() if k not in refused}, where, dimensions, report, methods)
            if len(report.problems) == before and not rule.keys() & set(refused):
                rules.append(sound)
        else:
            report.add(
                where, f"found {describe(rule)}, expected a mapping", "e.g. - {style_weight: 10, content: night}"
            )
    return tuple(rules)


def _rule(
    raw: dict[str, Any], where: Path, dimensions: Sequence[Dimension], report: Reporter, methods: Sequence[str]
) -> Rule:
    axes = {axis.path: (number, axis) for number, dimension in enumerate(dimensions) for axis in dimension}
    chosen: dict[int, frozenset[int]] = {}
    inputs: dict[str, tuple[str, ...]] = {}
    names_of = (*_INPUTS, "method") if len(methods) > 1 else _INPUTS
    for key, value in raw.items():
        if key in names_of:
            names = value if isinstance(value, list) else [value]
            if not names or not all(isinstance(name, str) for name in names):
                report.add((*where, key), f"found {describe(value)}, expected the name of a {key}")
                continue
            inputs[key] = tuple(names)
            if key == "method" and not any(fnmatchcase(one, pattern) for one in methods for pattern in names):
                message = f"no method here is called {one_of(names)}, so the rule excludes nothing"
                report.add((*where, key), message, f"the methods are {', '.join(methods)}")
        elif key not in axes:
            message = f"{shorten(key)!r} is no axis of this sweep, so the rule excludes nothing"
            report.add((*where, key), message, keys_hint(key, [*axes, *names_of]), key=True)
        else:
            number, axis = axes[key]
            found = _matching(axis, value, (*where, key), report)
            both = chosen.get(number, found) & found
            if found and not both:
                report.add((*where, key), "no point has these zipped values together, so the rule excludes nothing")
            chosen[number] = both
    named = frozenset(raw) & axes.keys()
    return Rule(chosen, named, inputs.get("content"), inputs.get("style"), inputs.get("method"), where)


def _matching(axis: Axis, wanted: Any, where: Path, report: Reporter) -> frozenset[int]:
    """Return the indices of the axis' values that equal `wanted`, or one of its items if it is a list."""
    found = frozenset(i for i, value in enumerate(axis.values) if _matches(wanted, value))
    if found or not isinstance(wanted, list):
        if not found:
            _nothing(axis, wanted, where, report)
        return found
    for index, item in enumerate(wanted):
        hits = frozenset(i for i, value in enumerate(axis.values) if _matches(item, value))
        if not hits:
            _nothing(axis, item, (*where, index), report)
        found |= hits
    if not wanted:
        _nothing(axis, wanted, where, report)
    return found


def _nothing(axis: Axis, wanted: Any, where: Path, report: Reporter) -> None:
    shown = ", ".join(_name(value) for value in axis.values[:_SHOWN]) + (", ..." if len(axis.values) > _SHOWN else "")
    message = f"{describe(wanted)} is no value of the axis {axis.path!r}, so the rule excludes nothing"
    report.add(where, message, f"its values are {shown}")


def _name(value: Any) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else describe(value)


def _matches(wanted: Any, value: Any) -> bool:
    """Return whether a rule's value means this value; a block matches by the keys that the rule gives, or by name."""
    if isinstance(value, dict) and isinstance(wanted, str):
        return bool(value.get("name") == wanted)
    if isinstance(value, str) and isinstance(wanted, dict):
        return bool(wanted == {"name": value})
    if isinstance(value, dict) and isinstance(wanted, dict):
        return all(key in value and _matches(inner, value[key]) for key, inner in wanted.items())
    return bool(wanted == value) and isinstance(wanted, bool) == isinstance(value, bool)
