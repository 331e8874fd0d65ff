"""The `method` or `methods` of a manifest under its sweep: every variant of each, or every fault."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nst.config import METHOD_CONFIGS
from nst.manifest.axes import parse_sweep, repeats
from nst.manifest.checking import check
from nst.manifest.explain import blocks
from nst.manifest.together import together
from nst.manifest.variants import make_variants
from nst.yaml.problems import describe, did_you_mean, one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from nst.config.fields import Needs
    from nst.config.method import Method
    from nst.manifest.points import Sweep
    from nst.manifest.variants import Variants
    from nst.yaml.positions import Path
    from nst.yaml.problems import Reporter


@dataclass(frozen=True, slots=True)
class MethodBlock:
    """One method as the manifest says it, and where."""

    model: type[Method]
    settings: dict[str, Any]
    where: Path

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.settings["name"])

    @property
    def paths(self) -> set[str]:
        """The settings that an axis may run through."""
        return paths(self.model) - {"name"}


def find_methods(raw: dict[str, Any], report: Reporter) -> list[MethodBlock]:
    """Return the methods of a manifest; none where a fault hides one of them, which is reported."""
    if "method" in raw and "methods" in raw:
        hint = "a base manifest's `method` is dropped by `method: null`"
        report.add(("methods",), "found both 'method' and 'methods', expected one of them", hint, key=True)
        return []
    if "methods" not in raw:
        if "method" not in raw:
            if "did you mean 'method'?" not in {problem.hint for problem in report.problems.values()}:
                report.add((), "the key 'method' is missing")
            return []
        found = [_method(raw["method"], ("method",), report)]
    elif isinstance(raw["methods"], list) and raw["methods"]:
        found = [_method(one, ("methods", index), report) for index, one in enumerate(raw["methods"])]
    else:
        message = f"found {describe(raw['methods'])}, expected a list of methods"
        report.add(("methods",), message, "e.g. methods: [gatys, {name: mrf, rotations: 1}]")
        return []
    sound = [method for method in found if method is not None]
    if len(sound) == len(found):
        for earlier, later in repeats([method.settings for method in sound]):
            message = f"{sound[later].name} stands twice with the same settings"
            report.add(sound[later].where, message, f"first at item {earlier + 1}")
        return sound
    for method in sound:
        for fault in check(method.model, method.settings)[1]:
            report.add((*method.where, *fault.path), fault.message, fault.hint, key=fault.key)
    return []


def _method(raw: Any, where: Path, report: Reporter) -> MethodBlock | None:
    settings = {"name": raw} if isinstance(raw, str) else raw
    names = list(METHOD_CONFIGS)
    if not isinstance(settings, dict):
        example = f"e.g. method: {{name: {names[0]}}}"
        hint = "several methods stand under `methods`" if isinstance(raw, list) and where == ("method",) else example
        report.add(where, f"found {describe(settings)}, expected a mapping", hint)
        return None
    if "name" not in settings:
        report.add(where, "the key 'name' is missing", f"the methods are {', '.join(names)}", key=True)
        return None
    name = settings["name"]
    if not isinstance(name, str) or name not in METHOD_CONFIGS:
        hint = did_you_mean(name, names) if isinstance(name, str) else ""
        report.add((*where, "name"), f"found {describe(name)}, expected {one_of(names)}", hint)
        return None
    return MethodBlock(METHOD_CONFIGS[name], settings, where)


def check_methods(
    raw: dict[str, Any], methods: Sequence[MethodBlock], budget: int, report: Reporter
) -> Variants[Method] | None:
    """Return the variants of all methods, one method after the other, or None if there is any fault.

    An axis multiplies the methods that have its setting; an axis that none of them has is a fault.
    """
    if not methods:
        return None
    known = set[str]().union(*(method.paths for method in methods))
    sweep = parse_sweep(raw.get("sweep"), known, report, methods=tuple(dict.fromkeys(m.name for m in methods)))
    own = [sweep.of(method.paths, method.name) if len(methods) > 1 else sweep for method in methods]
    matched = {rule.where for one in own for rule in one.rules}
    for rule in sweep.rules:
        if rule.where not in matched:
            report.add(rule.where, "no method has all of these settings, so the rule excludes nothing", "split it")
    _check_count(own, budget, report, given="budget" in raw)
    made = [
        make_variants(method.model, method.settings, one, report, where=method.where)
        for method, one in zip(methods, own, strict=True)
    ]
    sound = [variants for variants in made if variants is not None]
    return together(sound, sweep) if len(sound) == len(made) else None


def _check_count(sweeps: Sequence[Sweep], budget: int, report: Reporter, *, given: bool) -> None:
    """Report a sweep whose points alone are nothing or beyond the budget, before they are made."""
    count = sum(math.prod(sweep.lengths) - sum(sweep.excluded()) for sweep in sweeps)
    if not count:
        report.add(("sweep", "exclude"), "the rules exclude every point of the sweep", "remove one", key=True)
    elif count > budget:
        message = f"the sweep has {count} points for each content and style, its budget is {budget} cells"
        hint = f"take fewer values, or write budget: {{cells: {count}}} or more"
        report.add(("budget", "cells") if given else ("sweep",), message, hint, key=not given)


def needed_images(
    raw: dict[str, Any], methods: Sequence[MethodBlock], variants: Variants[Method] | None
) -> Needs | None:
    """Return the images that the cells are made from, None where the faults of the manifest hide it."""
    if variants is not None:
        return frozenset[Literal["content", "style"]]().union(*variants.needs)
    if raw.get("sweep") is not None:
        return None  # an axis may decide it
    configs = [check(method.model, method.settings)[0] for method in methods]
    sound = [config.needs for config in configs if config is not None]
    return frozenset[Literal["content", "style"]]().union(*sound) if sound and len(sound) == len(configs) else None


def paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted paths of all settings of a model, blocks and what is in them."""
    found = set()
    for field, info in model.model_fields.items():
        found.add(prefix + field)
        for block in blocks(info.annotation):
            found |= paths(block, f"{prefix}{field}.")
    return found
