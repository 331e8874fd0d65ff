"""The `sweep` block: axes over the settings of a method, ranges, zipped axes and exclusions.

Pure grammar: which values an axis runs through and which points are left out. Whether a value suits its setting is
found when the variants are validated (`nst.manifest.variants`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nst.manifest.points import Axis, Dimension, Sweep
from nst.manifest.ranges import MAX_VARIANTS, generated
from nst.manifest.rules import parse_rules
from nst.yaml.problems import describe, did_you_mean, keys_hint, number
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from nst.yaml.positions import Path
    from nst.yaml.problems import Reporter


def parse_sweep(
    raw: Any, known: AbstractSet[str], report: Reporter, *, methods: Sequence[str] = (), owner: str = "the method"
) -> Sweep:
    """Return the sweep of a manifest, reporting every fault.

    Args:
        raw: The value of `sweep`, None when there is none.
        known: The dotted paths of all settings of the methods.
        report: Receives the problems.
        methods: Their names, which rules may tell apart if there are several.
        owner: Whose settings they are if there is one.
    """
    if raw is None:
        return Sweep()
    if not isinstance(raw, dict):
        report.add(("sweep",), f"found {describe(raw)}, expected a mapping of axes", "e.g. style_weight: [10, 100]")
        return Sweep()
    reader = _Reader(known, report, owner if len(methods) < 2 else "any of the methods")
    dimensions: list[Dimension] = []
    for key, value in raw.items():
        if key == "zip":
            dimensions += reader.zipped(value)
        elif key != "exclude" and (axis := reader.axis(key, value, ("sweep", key))):
            dimensions.append((axis,))
    count = math.prod(len(dimension[0].values) for dimension in dimensions)
    if count > MAX_VARIANTS:
        sizes = " x ".join(str(len(dimension[0].values)) for dimension in dimensions)
        message = f"the axes make {count} points ({sizes}), expected at most {MAX_VARIANTS}"
        report.add(("sweep",), message, "take fewer values, or zip axes that belong together", key=True)
        return Sweep()
    rules = parse_rules(raw["exclude"], dimensions, reader.refused, report, methods) if "exclude" in raw else ()
    return Sweep(tuple(dimensions), rules)


class _Reader:
    """Reads axes one by one and remembers which settings have one.

    Attributes:
        refused: Paths that were reported: a rule that names them is not reported again.
    """

    def __init__(self, known: AbstractSet[str], report: Reporter, whose: str) -> None:
        self.known = known
        self.report = report
        self.whose = whose
        self.seen: set[str] = set()
        self.refused: set[str] = set()

    def zipped(self, raw: Any) -> Iterator[Dimension]:
        """Yield the dimension of each group of paired axes."""
        for index, group in enumerate(raw if isinstance(raw, list) else [raw]):
            where: Path = ("sweep", "zip", index) if isinstance(raw, list) else ("sweep", "zip")
            if not isinstance(group, dict) or len(group) < 2:
                found = "one axis" if isinstance(group, dict) and group else describe(group)
                hint = "e.g. - {style_weight: [1, 10], tv_weight: [0, 1]}"
                self.report.add(where, f"found {found}, expected two or more axes to pair", hint)
                continue
            axes = [self.axis(key, value, (*where, key), paired=True) for key, value in group.items()]
            whole = tuple(axis for axis in axes if axis)
            if len({len(axis.values) for axis in whole}) > 1:
                lengths = ", ".join(f"{axis.path} has {len(axis.values)}" for axis in whole)
                message = f"zipped axes must have equally many values: {lengths}"
                self.report.add(where, message, "drop `zip` for every combination")
                self.refused.update(axis.path for axis in whole)
            elif whole:
                points = list(zip(*(axis.values for axis in whole), strict=True))
                for earlier, later in repeats(points):
                    message = f"value {later + 1} of all these axes repeats value {earlier + 1}"
                    self.report.add(where, message, "pairs must differ in one of their axes")
                yield whole

    def axis(self, path: str, raw: Any, where: Path, *, paired: bool = False) -> Axis | None:
        """Return one axis, or None after reporting what is wrong with it; values may repeat if it is `paired`."""
        before = len(self.report.problems)
        axis = self._values(path, raw, where) if self._allowed(path, where) else None
        if axis and axis.listed and not paired:
            for earlier, later in repeats(axis.values):
                message = f"{describe(axis.values[later])} stands twice in the axis {path!r}"
                self.report.add((*where, later), message, f"first at item {earlier + 1}")
        self.seen.add(path)
        if len(self.report.problems) > before:
            self.refused.add(path)
        return axis

    def _allowed(self, path: str, where: Path) -> bool:
        if path not in self.known:
            if path.removeprefix("method.") in self.known:
                hint = f"write {path.removeprefix('method.')}: paths start below `method`"
            elif path == "name":
                hint = "several methods stand under `methods`, in place of `method`"
            else:
                hint = did_you_mean(path, [*self.known, "zip", "exclude"]) or keys_hint(path, self.known)
            message = f"{shorten(path)!r} is no setting of {self.whose}, expected the path of one"
            self.report.add(where, message, hint, key=True)
            return False
        if path in self.seen:
            self.report.add(where, f"{path!r} is an axis twice", "keep one of them", key=True)
            return False
        for other in self.seen & self.known:
            if path.startswith(f"{other}.") or other.startswith(f"{path}."):
                message = f"the axes {other!r} and {path!r} set the same block"
                self.report.add(where, message, "list whole blocks in one axis", key=True)
                return False
        return True

    def _values(self, path: str, raw: Any, where: Path) -> Axis | None:
        if isinstance(raw, list):
            if raw:
                return Axis(path, tuple(raw), where, listed=True)
            message = f"the axis {path!r} is empty, expected at least one value"
            self.report.add(where, message, "remove it, or give it values")
            return None
        if isinstance(raw, dict):
            values = generated(raw, where, self.report)
            return Axis(path, values, where, listed=False) if values else None
        simple = isinstance(raw, int | float) and not isinstance(raw, bool)
        hint = f"write [{number(raw)}], or set it under `method`" if simple else "e.g. [10, 100]"
        self.report.add(where, f"found {describe(raw)}, expected a list of values or a range", hint)
        return None


def repeats(values: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield (first, later) positions of equal values."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        token = _token(value)
        if token in first:
            yield first[token], index
        first.setdefault(token, index)


def _token(value: Any) -> str:
    """Return a text that equal values share: 1 and 1.0 do, 1 and true do not, key order is nothing."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_token(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_token, value)) + "]"
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
