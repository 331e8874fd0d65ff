"""Which points of contents x styles x variants are cells: those that no rule leaves out, within the budget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from nst.errors import ManifestError, UserError
from nst.manifest.ranges import MAX_VARIANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.config.method import Method
    from nst.manifest.points import Rule
    from nst.manifest.sweep import Manifest
    from nst.manifest.variants import Variants
    from nst.records import ImageRef, StyleRef

MAX_POINTS: Final = 5 * MAX_VARIANTS
"""Points of the whole product before exclusions, so that a refused sweep costs no memory."""

_MOST_LISTED: Final = 8
"""Names of contents or styles that a hint lists."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Points of the product, in the order of contents, then styles, then variants.

    Attributes:
        keep: For each point 1 if it is a cell, else 0.
        count: Number of cells.
        excluded: Number of points that would be cells if no rule left them out.
    """

    keep: bytearray
    count: int
    excluded: int


def select(manifest: Manifest, contents: Sequence[ImageRef | None], styles: Sequence[StyleRef | None]) -> Selection:
    """Return the points that are cells.

    Args:
        manifest: The rules, the variants and the budget.
        contents: The contents, (None,) if no variant needs one.
        styles: The styles, (None,) if no variant needs one.

    Raises:
        UserError: Nothing is left, a rule leaves out nothing, contents and styles are to be pairs and are not as many,
            or there are more cells than the budget allows.
    """
    variants = manifest.variants
    pairs = manifest.combine == "pairs"
    if pairs and None not in (*contents, *styles) and len(contents) != len(styles):
        message = f"found {len(contents)} contents and {len(styles)} styles; pairs need as many of both"
        raise ManifestError((manifest.positions.problem(("combine",), message, "e.g. the same images under both"),))
    columns = f"{len(contents)} contents x {len(styles)} styles x {len(variants)} points"
    total = len(contents) * len(styles) * len(variants)
    if total == 0:
        raise UserError(f"the sweep is empty: {columns}", hint="check the contents and styles of the manifest")
    if total > MAX_POINTS:
        raise UserError(f"the sweep has {columns}, expected a product of at most {MAX_POINTS}", hint="split it")
    keep = _distinct(variants, len(contents), len(styles), pairs=pairs)
    distinct = keep.count(1)
    _exclude(keep, manifest, contents, styles)
    count = keep.count(1)
    if count > manifest.budget.cells:
        raise UserError(
            f"the sweep has {count} cells ({columns}), but its budget is {manifest.budget.cells} cells",
            hint=f"take fewer, or write budget: {{cells: {count}}}",
        )
    if count == 0:
        raise UserError("the rules under `exclude` leave nothing of the sweep", hint="remove a rule")
    return Selection(keep, count, distinct - count)


def _distinct(variants: Variants[Method], contents: int, styles: int, *, pairs: bool) -> bytearray:
    """Return 1 for each point, 0 for one that is not to be made.

    A point is not to be made if it differs from an earlier one only in an image that it is not made from, or, with
    `pairs`, if it is made from a content and a style that are not at the same place in their lists.
    """
    distinct, number_of = variants.distinct_needs()
    both = frozenset(("content", "style"))

    @cache
    def row(first_content: bool, first_style: bool, same_place: bool) -> bytes:
        once = [
            (first_content or "content" in needs)
            and (first_style or "style" in needs)
            and (same_place or not (pairs and both <= needs))
            for needs in distinct
        ]
        return bytes(map(once.__getitem__, number_of))

    rows = (row(not content, not style, content == style) for content in range(contents) for style in range(styles))
    return bytearray().join(rows)


def _exclude(
    keep: bytearray, manifest: Manifest, contents: Sequence[ImageRef | None], styles: Sequence[StyleRef | None]
) -> None:
    """Turn the points that rules leave out to 0; a rule that names a content or style means cells that have one.

    Raises:
        ManifestError: A rule leaves out nothing.
    """
    width = len(manifest.variants)
    names = {
        "content": [content.name if content else "" for content in contents],
        "style": [style.name if style else "" for style in styles],
    }
    problems = []
    for rule in manifest.sweep.rules:
        matching = {kind: rule.matching_inputs(kind, known) for kind, known in names.items()}
        for kind in (kind for kind, found in matching.items() if not found):
            shown = ", ".join(names[kind][:_MOST_LISTED]) + (", ..." if len(names[kind]) > _MOST_LISTED else "")
            message = f"no {kind} has this name, so the rule excludes nothing"
            problems.append(manifest.positions.problem((*rule.path, kind), message, f"the {kind}s are {shown}"))
        variants = _matching(manifest.variants, rule)
        if not variants:
            images = " and a ".join(sorted(rule.inputs))
            message = f"no cell that matches the rest of the rule is made from a {images}, so the rule excludes nothing"
            problems.append(manifest.positions.problem(rule.path, message))
        for content in matching["content"]:
            for style in matching["style"]:
                start = (content * len(styles) + style) * width
                for variant in variants:
                    keep[start + variant] = 0
    if problems:
        raise ManifestError(tuple(problems))


def _matching(variants: Variants[Method], rule: Rule) -> list[int]:
    """Return the variants that a rule matches and that are made from what the rule names of content and style."""
    needs, structure = variants.needs, variants.structure
    return [variant for variant in variants.matching(rule) if rule.inputs <= needs[structure[variant]]]
