"""The manifest: contents x styles x settings, declared. Text in, a checked `Manifest` out, or every fault at once."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.config import METHOD_CONFIGS
from nst.errors import ManifestError, UserError
from nst.manifest.blocks import Budget, ManifestBlock
from nst.manifest.checking import check
from nst.manifest.masks import check_masks
from nst.manifest.methods import check_methods, find_methods, needed_images
from nst.records import OutputFormat
from nst.yaml.positions import Document, merge
from nst.yaml.problems import Reporter, describe
from nst.yaml.text import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from nst.config.backbone import BackboneConfig
    from nst.config.fields import Needs
    from nst.config.method import Method
    from nst.errors import Problem
    from nst.manifest.blocks import ContentSpec, StyleSpec
    from nst.manifest.points import Sweep
    from nst.manifest.variants import Variants
    from nst.yaml.positions import Path, Where

MAX_BASES: Final = 8
_STAND_INS: Final = {"name": "x"}
_IMAGES: Final[tuple[tuple[Literal["content", "style"], str], ...]] = (("content", "contents"), ("style", "styles"))


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A checked manifest; inputs are still patterns."""

    name: str
    contents: tuple[ContentSpec, ...]
    styles: tuple[StyleSpec, ...]
    variants: Variants[Method]
    budget: Budget
    output: OutputFormat
    batch_size: int | None
    where: Where

    @property
    def sweep(self) -> Sweep:
        """The axes and rules."""
        return self.variants.sweep

    def backbones(self) -> dict[BackboneConfig, Path]:
        """Return the distinct backbones, whose weights `expand` wants to know, and where each is first written."""
        found: dict[BackboneConfig, Path] = {}
        for first, where in zip(self.variants.first, self.variants.where, strict=True):
            config = self.variants.config(first)
            if config.loss_network:
                found.setdefault(config.loss_network, (*where, "backbone"))
        return found


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
    document = with_bases(document, file, read_base, problems)
    report = Reporter(document.where, problems)
    raw = document.value
    if not isinstance(raw, dict):
        found = "an empty file" if raw is None else describe(raw)
        report.add((), f"found {found}, expected a mapping", "start with `name: my-sweep`")
        report.raise_any()
    if raw.get("kind") == "train":
        report.add(("kind",), "this manifest declares trained models, expected a sweep", "nst run trains them")
        report.raise_any()
    torn = "extends" in raw and len(problems) > before
    if torn:
        stand_ins = {**_STAND_INS, **({} if "methods" in raw else {"method": next(iter(METHOD_CONFIGS))})}
        raw = {**stand_ins, **raw}  # what is missing may stand in the base that could not be read
    block = _check_block(raw, report)
    methods = find_methods(raw, report)
    variants = check_methods(raw, methods, block.budget.cells if block else Budget().cells, report)
    needed = needed_images(raw, methods, variants)
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


def with_bases(
    document: Document, file: str, read_base: Callable[[str], str] | None, problems: list[Problem]
) -> Document:
    """Return the document laid over the manifests that it extends; what cannot be read joins `problems`."""
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
    """Return the validated top level, methods and `sweep` unseen."""
    block, faults = check(ManifestBlock, raw, _STAND_INS)
    for fault in faults:
        report.add(fault.path, fault.message, fault.hint, key=fault.key)
    return block


def _check_images(raw: dict[str, Any], needed: Needs, report: Reporter) -> None:
    """Report contents or styles that the method needs and that are missing, or that none of its points looks at."""
    misspelt = {problem.hint for problem in report.problems.values()}
    for kind, key in _IMAGES:
        if kind in needed and key not in raw and f"did you mean {key!r}?" not in misspelt:
            report.add((), f"the key {key!r} is missing")
        elif kind not in needed and key in raw:
            report.add((key,), f"the method takes no {kind} images as it is set", f"remove {key!r}", key=True)
