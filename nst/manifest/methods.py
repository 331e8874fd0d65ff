"""The `method` or `methods` of a manifest under its sweep: every variant of each, or every fault."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.config import METHOD_CONFIGS
from nst.manifest.axes import parse_sweep, repeats
from nst.manifest.building import make_variants
from nst.manifest.checking import check
from nst.manifest.explain import blocks
from nst.manifest.named import find_named
from nst.manifest.together import together
from nst.yaml.problems import describe, missing_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from nst.config.fields import Needs
    from nst.config.method import Method
    from nst.manifest.named import NamedSettings
    from nst.manifest.points import Sweep
    from nst.manifest.variants import Variants
    from nst.yaml.reporter import Reporter

_FIXED: Final = {"name": "list several methods under `methods`, in place of `method`"}


def find_methods(raw: dict[str, Any], report: Reporter) -> list[NamedSettings[Method]]:
    """Return the methods of a manifest; none where a fault hides one of them, which is reported."""
    if "method" in raw and "methods" in raw:
        hint = "write `method: null` to drop the method of a manifest that this one extends"
        report.add(("methods",), "found both 'method' and 'methods', expected one of them", hint, key=True)
        return []
    if "methods" not in raw:
        if "method" not in raw:
            if not report.is_misspelt(("methods",)):
                report.add_fault(missing_key((), "method"))
            return []
        found = [find_named(raw["method"], ("method",), METHOD_CONFIGS, "name", report)]
    elif isinstance(raw["methods"], list) and raw["methods"]:
        found = [
            find_named(method, ("methods", index), METHOD_CONFIGS, "name", report)
            for index, method in enumerate(raw["methods"])
        ]
    else:
        message = f"found {describe(raw['methods'])}, expected a list of methods"
        report.add(("methods",), message, "e.g. methods: [gatys, {name: mrf, rotations: 1}]")
        return []
    valid = [method for method in found if method is not None]
    if len(valid) == len(found):
        for earlier, later in repeats([method.raw for method in valid]):
            message = f"item {later + 1} of the methods repeats item {earlier + 1}"
            report.add(valid[later].path, message, "remove one of them")
        return valid
    for method in valid:
        report.add_faults(check(method.settings, method.raw)[1], below=method.path)
    return []


def check_methods(
    raw: dict[str, Any], methods: Sequence[NamedSettings[Method]], budget: int, report: Reporter
) -> Variants[Method] | None:
    """Return the variants of all methods, one method after the other, or None if there is any fault.

    An axis multiplies the methods that have its setting; an axis that none of them has is a fault.

    Args:
        raw: The manifest.
        methods: Its methods.
        budget: Most cells that the sweep may have.
        report: Receives the problems.
    """
    if not methods:
        return None
    settings = [paths(method.settings) - {"name"} for method in methods]
    names = tuple(dict.fromkeys(method.name for method in methods))
    sweep = parse_sweep(raw.get("sweep"), set[str]().union(*settings), report, fixed=_FIXED, methods=names)
    sweeps = [sweep]
    if len(methods) > 1:
        sweeps = [sweep.of_method(method.name, known) for method, known in zip(methods, settings, strict=True)]
    matched = {rule.path for part in sweeps for rule in part.rules}
    for rule in sweep.rules:
        if rule.path not in matched:
            message = "no method has all axes that the rule names, so the rule excludes nothing"
            report.add(rule.path, message, "write a rule for each method")
    _check_count(sweeps, budget, report, given="budget" in raw)
    made = [make_variants(method, part, report) for method, part in zip(methods, sweeps, strict=True)]
    valid = [variants for variants in made if variants is not None]
    return together(valid, sweep) if len(valid) == len(made) else None


def _check_count(sweeps: Sequence[Sweep], budget: int, report: Reporter, *, given: bool) -> None:
    """Report a sweep whose points alone are none, or more than the budget, before they are made.

    Args:
        sweeps: The axes and rules of each method.
        budget: Most cells that the sweep may have.
        report: Receives the problem.
        given: Whether the manifest has a budget.
    """
    count = sum(math.prod(sweep.lengths) - sum(sweep.excluded()) for sweep in sweeps)
    if not count:
        report.add(("sweep", "exclude"), "the rules exclude every point of the sweep", "remove a rule", key=True)
    elif count > budget:
        message = f"the sweep has {count} points for each content and style, but its budget is {budget} cells"
        hint = f"take fewer values, or write budget: {{cells: {count}}} or more"
        report.add(("budget", "cells") if given else ("sweep",), message, hint, key=not given)


def needed_images(
    raw: dict[str, Any], methods: Sequence[NamedSettings[Method]], variants: Variants[Method] | None
) -> Needs | None:
    """Return the images that the cells are made from, None where the faults of the manifest hide it."""
    if variants is not None:
        return frozenset[Literal["content", "style"]]().union(*variants.needs)
    if raw.get("sweep") is not None:
        return None  # an axis may decide it
    configs = [check(method.settings, method.raw)[0] for method in methods]
    needs = [config.needs for config in configs if config is not None]
    return frozenset[Literal["content", "style"]]().union(*needs) if needs and len(needs) == len(configs) else None


def paths(settings: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted paths of all settings, those of blocks and of what is in them."""
    found = set()
    for field, info in settings.model_fields.items():
        found.add(prefix + field)
        for block in blocks(info.annotation):
            found |= paths(block, f"{prefix}{field}.")
    return found
