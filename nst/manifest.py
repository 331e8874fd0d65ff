"""The manifest: contents x styles x settings, declared. Text in, a checked `Manifest` out, or every fault at once."""

from __future__ import annotations

import math
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.checking import check
from nst.config import METHOD_CONFIGS
from nst.errors import ManifestError, UserError
from nst.explain import blocks
from nst.manifest_blocks import Budget, ManifestBlock
from nst.manifest_errors import Reporter, describe, did_you_mean, one_of
from nst.manifest_masks import check_masks
from nst.positions import Document, merge
from nst.records import OutputFormat
from nst.sweep_axes import Sweep, parse_sweep
from nst.variants import Variants, make_variants
from nst.yaml_text import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from nst.config.backbone import BackboneConfig
    from nst.config.fields import Needs
    from nst.errors import Problem
    from nst.manifest_blocks import ContentSpec, StyleSpec
    from nst.positions import Where

MAX_BASES: Final = 8
_STAND_INS: Final = {"name": "x", "method": next(iter(METHOD_CONFIGS))}
_IMAGES: Final[tuple[tuple[Literal["content", "style"], str], ...]] = (("content", "contents"), ("style", "styles"))


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A checked manifest; inputs are still patterns."""

    name: str
    contents: tuple[ContentSpec, ...]
    styles: tuple[StyleSpec, ...]
    variants: Variants
    budget: Budget
    output: OutputFormat
    batch_size: int | None
    where: Where

    @property
    def sweep(self) -> Sweep:
        """The axes and rules."""
        return self.variants.sweep

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.variants.config(0).name

    def backbones(self) -> tuple[BackboneConfig, ...]:
        """Return the distinct backbones of all variants: those whose weights `expand` wants to know."""
        return tuple(dict.fromkeys(self.variants.config(first).backbone for first in self.variants.first))


def parse_manifest(text: str, file: str, read_base: Callable[[str], str] | None = None) -> Manifest:
    """Return the manifest of a YAML text.

    Args:
        text: The manifest.
        file: What messages call it.
        read_base: Returns the text of a base manifest, given its URI or its path relative to this manifest's folder;
            raises OSError or UserError for what cannot be read. Without it, `extends` is refused.

    Raises:
        ManifestError: With every problem, each at its place in its own file.
    """
    problems: list[Problem] = []
    document = load(text, file, problems)
    before = len(problems)
    document = _with_bases(document, file, read_base, problems)
    report = Reporter(document.where, problems)
    raw = document.value
    if not isinstance(raw, dict):
        found = "an empty file" if raw is None else describe(raw)
        report.add((), f"found {found}, expected a mapping", "start with `name: my-sweep`")
        report.raise_any()
    torn = "extends" in raw and len(problems) > before
    if torn:
        raw = {**_STAND_INS, **raw}  # what is missing may stand in the base that could not be read
    block = _check_block(raw, report)
    variants = _check_method(raw, block.budget.cells if block else Budget().cells, report)
    needed = _needed(raw, variants)
    if needed is not None and not torn:
        _check_images(raw, needed, report)
    if block is not None and variants is not None:
        check_masks(block, variants, report)
    report.raise_any()
    assert block is not None
    assert variants is not None
    return Manifest(
        name=block.name,
        contents=block.contents,
        styles=block.styles,
        variants=variants,
        budget=block.budget,
        output=OutputFormat(block.output.format, block.output.quality),
        batch_size=block.batch_size,
        where=document.where,
    )


def _check_count(sweep: Sweep, budget: int, report: Reporter, *, given: bool) -> None:
    """Report a sweep whose points alone are nothing or beyond the budget, before they are made."""
    count = math.prod(sweep.lengths) - sum(sweep.excluded())
    if not count:
        report.add(("sweep", "exclude"), "the rules exclude every point of the sweep", "remove one", key=True)
    elif count > budget:
        message = f"the sweep has {count} points for each content and style, its budget is {budget} cells"
        hint = f"take fewer values, or write budget: {{cells: {count}}} or more"
        report.add(("budget", "cells") if given else ("sweep",), message, hint, key=not given)


def _with_bases(
    document: Document, file: str, read_base: Callable[[str], str] | None, problems: list[Problem]
) -> Document:
    """Return the document laid over the manifests that it extends."""
    folder = posixpath.dirname(file)
    chain = [posixpath.normpath(file)]
    top, beside = document, ""
    while isinstance(top.value, dict) and top.value.get("extends") is not None:
        base = top.value["extends"]
        refusal = _refused(base, chain)
        if not refusal:
            base = base if "://" in base else posixpath.join(beside, base)
            name = base if "://" in base else posixpath.join(folder, base)
            if posixpath.normpath(name) in chain:
                refusal = f"the manifests extend each other in a circle: {' -> '.join([*chain, name])}"
        if not refusal and read_base is None:
            refusal = "`extends` is not possible here"
        if not refusal and read_base is not None:
            try:
                text = read_base(base)
            except ManifestError as error:
                problems += error.problems
                break
            except (UserError, OSError, UnicodeError) as error:
                refusal = f"cannot read {base!r}: {getattr(error, 'strerror', None) or error}"
        if refusal:
            problems.append(top.where.problem(("extends",), refusal))
            break
        chain.append(posixpath.normpath(name))
        beside = posixpath.dirname(base)
        top = load(text, name, problems)
        if not isinstance(top.value, dict):
            problems.append(top.where.problem((), f"found {describe(top.value)}, expected a mapping"))
            break
        document = merge(top, document)
    return document


def _refused(base: Any, chain: list[str]) -> str:
    if not isinstance(base, str) or not base:
        return f"found {describe(base)}, expected the path or URI of a manifest"
    return f"more than {MAX_BASES} manifests extend each other" if len(chain) > MAX_BASES else ""


def _check_block(raw: dict[str, Any], report: Reporter) -> ManifestBlock | None:
    """Return the validated top level, `method` and `sweep` unseen."""
    block, faults = check(ManifestBlock, raw, _STAND_INS)
    for fault in faults:
        report.add(fault.path, fault.message, fault.hint, key=fault.key)
    return block


def _check_method(raw: dict[str, Any], budget: int, report: Reporter) -> Variants | None:
    """Return the validated variants of `method` under `sweep`."""
    if "method" not in raw:
        return None  # reported as missing
    method = {"name": raw["method"]} if isinstance(raw["method"], str) else raw["method"]
    names = list(METHOD_CONFIGS)
    if not isinstance(method, dict):
        report.add(("method",), f"found {describe(method)}, expected a mapping", f"e.g. method: {{name: {names[0]}}}")
        return None
    if "name" not in method:
        report.add(("method",), "the key 'name' is missing", f"the methods are {', '.join(names)}", key=True)
        return None
    name = method["name"]
    if not isinstance(name, str) or name not in METHOD_CONFIGS:
        hint = did_you_mean(name, names) if isinstance(name, str) else ""
        report.add(("method", "name"), f"found {describe(name)}, expected {one_of(names)}", hint)
        return None
    model = METHOD_CONFIGS[name]
    sweep = parse_sweep(raw.get("sweep"), paths(model) - {"name"}, report)
    _check_count(sweep, budget, report, given="budget" in raw)
    return make_variants(model, method, sweep, report)


def _needed(raw: dict[str, Any], variants: Variants | None) -> Needs | None:
    """Return the images that the cells are made from, None where the faults of the manifest hide it."""
    if variants is not None:
        return frozenset[Literal["content", "style"]]().union(*variants.needs)
    method = {"name": raw["method"]} if isinstance(raw.get("method"), str) else raw.get("method")
    name = method.get("name") if isinstance(method, dict) else None
    if not isinstance(name, str) or name not in METHOD_CONFIGS or raw.get("sweep") is not None:
        return None  # an axis may decide it
    config, _ = check(METHOD_CONFIGS[name], method)
    return config.needs if config else None


def _check_images(raw: dict[str, Any], needed: Needs, report: Reporter) -> None:
    """Report contents or styles that the method needs and that are missing, or that none of its points looks at."""
    misspelt = {problem.hint for problem in report.problems.values()}
    for kind, key in _IMAGES:
        if kind in needed and key not in raw and f"did you mean {key!r}?" not in misspelt:
            report.add((), f"the key {key!r} is missing")
        elif kind not in needed and key in raw:
            report.add((key,), f"the method takes no {kind} images as it is set", f"remove {key!r}", key=True)


def paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted paths of all settings of a model, blocks and what is in them."""
    found = set()
    for field, info in model.model_fields.items():
        found.add(prefix + field)
        for block in blocks(info.annotation):
            found |= paths(block, f"{prefix}{field}.")
    return found
