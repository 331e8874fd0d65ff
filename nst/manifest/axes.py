"""The `sweep` block: axes over the settings of a method, ranges, zipped axes and exclusions.

Grammar alone: which values an axis runs through and which points are left out. Whether a value suits its setting is
found when the variants are validated (`nst.manifest.building`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nst.manifest.points import Axis, Dimension, Sweep
from nst.manifest.ranges import MAX_VARIANTS, generated
from nst.manifest.rules import parse_rules
from nst.yaml.problems import describe, number, unknown_key
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter


def parse_sweep(
    raw: Any,
    settings: AbstractSet[str],
    report: Reporter,
    *,
    fixed: Mapping[str, str],
    methods: Sequence[str] = (),
    owner: str = "the method",
) -> Sweep:
    """Return the sweep of a manifest; every fault is reported.

    Args:
        raw: The value of `sweep`, None when there is none.
        settings: The settings that axes may run through, by their dotted paths.
        report: Receives the problems.
        fixed: Settings that no axis may run through, and what to do instead.
        methods: The names of the methods; with several of them, rules may name a method.
        owner: What has the settings, in the words of a message.
    """
    if raw is None:
        return Sweep()
    if not isinstance(raw, dict):
        report.add(("sweep",), f"found {describe(raw)}, expected a mapping of axes", "e.g. style_weight: [10, 100]")
        return Sweep()
    lacks = "none of the methods has a setting" if len(methods) > 1 else f"{owner} has no setting"
    reader = _Reader(settings, report, fixed, lacks)
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
        refused: Settings whose axes were reported: a rule that names them is not reported again.
    """

    def __init__(self, settings: AbstractSet[str], report: Reporter, fixed: Mapping[str, str], lacks: str) -> None:
        self._settings = settings
        self._report = report
        self._fixed = fixed
        self._lacks = lacks
        self._seen: set[str] = set()
        self.refused: set[str] = set()

    def zipped(self, raw: Any) -> Iterator[Dimension]:
        """Yield the dimension of each group of paired axes."""
        for index, group in enumerate(raw if isinstance(raw, list) else [raw]):
            path: Path = ("sweep", "zip", index) if isinstance(raw, list) else ("sweep", "zip")
            if not isinstance(group, dict) or len(group) < 2:
                found = "one axis" if isinstance(group, dict) and group else describe(group)
                hint = "e.g. - {style_weight: [1, 10], tv_weight: [0, 1]}"
                self._report.add(path, f"found {found}, expected two or more axes to pair", hint)
                continue
            read = [self.axis(key, value, (*path, key), paired=True) for key, value in group.items()]
            axes = tuple(axis for axis in read if axis)
            if len({len(axis.values) for axis in axes}) > 1:
                lengths = ", ".join(f"{axis.setting} has {len(axis.values)}" for axis in axes)
                message = f"zipped axes must have equally many values: {lengths}"
                self._report.add(path, message, "drop `zip` for every combination")
                self.refused.update(axis.setting for axis in axes)
            elif axes:
                for earlier, later in repeats(list(zip(*(axis.values for axis in axes), strict=True))):
                    message = f"point {later + 1} of the zipped axes repeats point {earlier + 1}"
                    self._report.add(path, message, "remove one of them")
                yield axes

    def axis(self, setting: str, raw: Any, path: Path, *, paired: bool = False) -> Axis | None:
        """Return one axis, or None after reporting what is wrong with it; values may repeat if it is `paired`."""
        before = len(self._report.problems)
        axis = self._values(setting, raw, path) if self._allowed(setting, path) else None
        if axis and axis.listed and not paired:
            for earlier, later in repeats(axis.values):
                message = f"item {later + 1} of the axis {setting!r} repeats item {earlier + 1}"
                self._report.add((*path, later), message, "remove one of them")
        self._seen.add(setting)
        if len(self._report.problems) > before:
            self.refused.add(setting)
        return axis

    def _allowed(self, setting: str, path: Path) -> bool:
        if setting in self._fixed:
            self._report.add(path, f"{setting!r} cannot be an axis", self._fixed[setting], key=True)
            return False
        if setting not in self._settings:
            below = setting.removeprefix("method.")
            hint = f"write {below}: paths start below `method`" if below in self._settings else ""
            message = f"{self._lacks} {shorten(setting)!r}"
            self._report.add_fault(unknown_key(path, [*self._settings, "zip", "exclude"], message=message, hint=hint))
            return False
        if setting in self._seen:
            self._report.add(path, f"{setting!r} is an axis twice", "keep one of them", key=True)
            return False
        for other in self._seen & self._settings:
            if setting.startswith(f"{other}.") or other.startswith(f"{setting}."):
                message = f"the axes {other!r} and {setting!r} set the same block"
                self._report.add(path, message, "write one axis whose values are whole blocks", key=True)
                return False
        return True

    def _values(self, setting: str, raw: Any, path: Path) -> Axis | None:
        if isinstance(raw, list):
            if raw:
                return Axis(setting, tuple(raw), path, listed=True)
            message = f"the axis {setting!r} is empty, expected at least one value"
            self._report.add(path, message, "remove it, or give it values")
            return None
        if isinstance(raw, dict):
            values = generated(raw, path, self._report)
            return Axis(setting, values, path, listed=False) if values else None
        simple = isinstance(raw, int | float) and not isinstance(raw, bool)
        hint = f"write [{number(raw)}], or set it under `method`" if simple else "e.g. [10, 100]"
        self._report.add(path, f"found {describe(raw)}, expected a list of values or a range", hint)
        return None


def repeats(values: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield the indices of equal values: that of the first one, and that of the later one."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        token = _token(value)
        if token in first:
            yield first[token], index
        first.setdefault(token, index)


def _token(value: Any) -> str:
    """Return a text that equal values share: 1 equals 1.0, 1 does not equal true, the order of keys does not count."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_token(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_token, value)) + "]"
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
