"""The `exclude` rules of a sweep: which points are left out. A rule that leaves out nothing is an error."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from nst.manifest.points import Rule
from nst.yaml.problems import describe, one_of, unknown_key
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nst.manifest.points import Axis, Dimension
    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter

_INPUTS: Final = ("content", "style")
_MOST_LISTED: Final = 8
"""Values of an axis that a hint lists."""


def parse_rules(
    raw: Any,
    dimensions: Sequence[Dimension],
    refused: Collection[str],
    report: Reporter,
    methods: Sequence[str] = (),
) -> tuple[Rule, ...]:
    """Return the rules of `exclude`; those that name no axis or match no value are reported.

    Args:
        raw: The value of `exclude`.
        dimensions: The valid axes.
        refused: Settings whose axes were reported; rules that name them are not checked.
        report: Receives the problems.
        methods: Names of the methods; a rule may name one if there are several.
    """
    rules = []
    for index, rule in enumerate(raw if isinstance(raw, list) else [raw]):
        path: Path = ("sweep", "exclude", index) if isinstance(raw, list) else ("sweep", "exclude")
        if isinstance(rule, dict) and rule:
            before = len(report.problems)
            read = _rule({k: v for k, v in rule.items() if k not in refused}, path, dimensions, report, methods)
            if len(report.problems) == before and not rule.keys() & set(refused):
                rules.append(read)
        else:
            hint = "e.g. - {style_weight: 10, content: night}"
            report.add(path, f"found {describe(rule)}, expected a mapping that names axes, contents or styles", hint)
    return tuple(rules)


def _rule(
    raw: dict[str, Any], path: Path, dimensions: Sequence[Dimension], report: Reporter, methods: Sequence[str]
) -> Rule:
    axes = {axis.setting: (number, axis) for number, dimension in enumerate(dimensions) for axis in dimension}
    chosen: dict[int, frozenset[int]] = {}
    patterns: dict[str, tuple[str, ...]] = {}
    named_kinds = (*_INPUTS, "method") if len(methods) > 1 else _INPUTS
    for key, value in raw.items():
        if key in named_kinds:
            names = value if isinstance(value, list) else [value]
            if not names or not all(isinstance(name, str) for name in names):
                report.add((*path, key), f"found {describe(value)}, expected the name of a {key}")
                continue
            patterns[key] = tuple(names)
            if key == "method" and not any(fnmatchcase(method, pattern) for method in methods for pattern in names):
                message = f"no method here is called {one_of(names)}, so the rule excludes nothing"
                report.add((*path, key), message, f"the methods are {', '.join(methods)}")
        elif key not in axes:
            message = f"{shorten(key)!r} is not an axis of this sweep, so the rule excludes nothing"
            report.add_fault(unknown_key((*path, key), [*axes, *named_kinds], message=message))
        else:
            number, axis = axes[key]
            found = _matching(axis, value, (*path, key), report)
            common = chosen.get(number, found) & found
            if found and not common:
                message = "no point of the zipped axes has these values together, so the rule excludes nothing"
                report.add((*path, key), message)
            chosen[number] = common
    settings = frozenset(raw) & axes.keys()
    return Rule(chosen, settings, patterns.get("content"), patterns.get("style"), patterns.get("method"), path)


def _matching(axis: Axis, wanted: Any, path: Path, report: Reporter) -> frozenset[int]:
    """Return the indices of the values of an axis that equal `wanted`, or one of its items if it is a list."""
    found = _equal(axis, wanted)
    if found or not isinstance(wanted, list) or not wanted:
        if not found:
            _report_no_value(axis, wanted, path, report)
        return found
    for index, item in enumerate(wanted):
        equal = _equal(axis, item)
        if not equal:
            _report_no_value(axis, item, (*path, index), report)
        found |= equal
    return found


def _equal(axis: Axis, wanted: Any) -> frozenset[int]:
    return frozenset(index for index, value in enumerate(axis.values) if _matches(wanted, value))


def _report_no_value(axis: Axis, wanted: Any, path: Path, report: Reporter) -> None:
    names = [_name(value) for value in axis.values[:_MOST_LISTED]]
    shown = ", ".join(names) + (", ..." if len(axis.values) > len(names) else "")
    found = "this mapping" if isinstance(wanted, dict) else describe(wanted)
    message = f"{found} is not a value of the axis {axis.setting!r}, so the rule excludes nothing"
    report.add(path, message, f"the values of the axis are {shown}")


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
