"""The manifest multiplied out: contents x styles x variants as columns, each cell identified."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError, ManifestError, UserError
from nst.identity import content_key, inputs_key, join, method_key, network_key, place_key, style_key
from nst.manifest.ranges import MAX_VARIANTS
from nst.records import Cell, ImageRef, ModelRef, OutputFormat, StyleRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.config.method import Method
    from nst.manifest.sweep import Manifest
    from nst.manifest.variants import Variants

MAX_POINTS: Final = 5 * MAX_VARIANTS
"""Points of the whole product before exclusions, so that a refused sweep costs no memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Every distinct cell of a sweep, by number: in the order of contents, then styles, then variants.

    Attributes:
        contents, styles, variants, output: The columns; (None,) where no variant needs a content or style.
        points: Per cell, its point in the product of the three columns.
        ids: Per cell, its id.
        weights_digests: Per structure of the variants, the digest of the backbone's weights, "" without a backbone.
        models: By structure and style, the trained network of methods that run one.
        excluded: Cells that rules leave out. merged: Cells that equal an earlier one, e.g. of the same file twice.
        batch_size: Upper bound from the manifest, or None.
    """

    contents: tuple[ImageRef | None, ...]
    styles: tuple[StyleRef | None, ...]
    variants: Variants[Method]
    output: OutputFormat
    points: Sequence[int]
    ids: list[str]
    weights_digests: tuple[str, ...]
    models: Mapping[tuple[int, int], ModelRef]
    excluded: int
    merged: int
    batch_size: int | None

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, number: int) -> tuple[int, int, int]:
        """Return the numbers of a cell's content, style and variant."""
        rest, variant = divmod(self.points[number], len(self.variants))
        return *divmod(rest, len(self.styles)), variant

    def cell(self, number: int, attempt: int = 1) -> Cell:
        """Return one cell as a record."""
        _, style, variant = self.place(number)
        model = self.models.get((self.variants.structure[variant], style))
        return Cell(self.ids[number], *self.images(number), self.variants.config(variant), self.output, attempt, model)

    def images(self, number: int) -> tuple[ImageRef | None, StyleRef | None]:
        """Return the content and the style of a cell, None for what its method does not look at."""
        content, style, variant = self.place(number)
        needs = self.variants.needs[self.variants.structure[variant]]
        return self.contents[content] if "content" in needs else None, self.styles[style] if "style" in needs else None

    def values(self, number: int) -> dict[str, Any]:
        """Return what the axes set in a cell, by dotted path."""
        return self.variants.values(self.place(number)[2])

    def structure(self, number: int) -> int:
        """Return the number of a cell's structure."""
        return self.variants.structure[self.points[number] % len(self.variants)]

    def structure_config(self, structure: int) -> Method:
        """Return the settings of a structure's first variant."""
        return self.variants.config(self.variants.first[structure])

    def methods(self) -> dict[str, int]:
        """Return how many cells there are of each method."""
        count = Counter(map(self.structure, range(len(self))))
        names = Counter[str]()
        for number in sorted(count):
            names[self.structure_config(number).name] += count[number]
        return dict(names)

    def addresses(self) -> Callable[[int], str]:
        """Return a function from a cell's number to its address (`nst.identity.address`), fast for many cells."""
        variants, points, width, styles = self.variants, self.points, len(self.variants), len(self.styles)
        places = [place_key(self.structure_config(number), self.output) for number in range(len(variants.first))]
        left = [key + places[number] for key, number in zip(variants.settings, variants.structure, strict=True)]

        kinds, kind = variants.kinds()

        @cache
        def right(pair_and_kind: int) -> bytes:
            pair, number = divmod(pair_and_kind, len(kinds))
            content = self.contents[pair // styles] if "content" in kinds[number] else None
            return inputs_key(content, self.styles[pair % styles] if "style" in kinds[number] else None)

        def address(number: int) -> str:
            pair, variant = divmod(points[number], width)
            return join(left[variant], right(pair * len(kinds) + kind[variant]))

        return address


def expand(
    manifest: Manifest,
    contents: Sequence[ImageRef],
    styles: Sequence[StyleRef],
    weights_digests: Mapping[BackboneConfig, str],
    choose: Callable[[Method, StyleRef | None], ModelRef] | None = None,
) -> Cells:
    """Return the cells of a manifest.

    Args:
        manifest: Contents, styles and settings as patterns and axes.
        contents: The images that its contents mean, names unique.
        styles: The same for its styles.
        weights_digests: The digest of the weights of each of `manifest.backbones()`.
        choose: Returns the trained network of a cell, given its settings and its style if it has one.

    Raises:
        UserError: Nothing is left, a rule leaves out nothing, or there are more cells than the budget allows.
    """
    variants = manifest.variants
    needed = frozenset[str]().union(*variants.needs)
    content_refs: Sequence[ImageRef | None] = contents if "content" in needed else (None,)
    style_refs: Sequence[StyleRef | None] = styles if "style" in needed else (None,)
    return _expand(manifest, content_refs, style_refs, weights_digests, _models(manifest, style_refs, choose))


def _models(
    manifest: Manifest,
    styles: Sequence[StyleRef | None],
    choose: Callable[[Method, StyleRef | None], ModelRef] | None,
) -> dict[tuple[int, int], ModelRef]:
    """Return the trained network of each structure that runs one, for each style.

    Raises:
        ManifestError: There is none, told where the manifest names it.
    """
    variants, found, problems = manifest.variants, {}, []
    for structure, (first, where) in enumerate(zip(variants.first, variants.where, strict=True)):
        config = variants.config(first)
        if not config.RUNS_NETWORK:
            continue
        for number, style in enumerate(styles):
            asked = style if "style" in config.needs else None
            try:
                found[structure, number] = choose(config, asked) if choose else ModelRef("unknown")
            except InputError as error:
                problems.append(manifest.where.problem((*where, "model"), error.message, error.hint))
    if problems:
        raise ManifestError(tuple(dict.fromkeys(problems)))
    return found


def _expand(
    manifest: Manifest,
    contents: Sequence[ImageRef | None],
    styles: Sequence[StyleRef | None],
    weights_digests: Mapping[BackboneConfig, str],
    models: Mapping[tuple[int, int], ModelRef],
) -> Cells:
    variants = manifest.variants
    columns = f"{len(contents)} contents x {len(styles)} styles x {len(variants)} points"
    total = len(contents) * len(styles) * len(variants)
    if total == 0:
        raise UserError(f"the sweep is empty: {columns}", hint="check the contents and styles of the manifest")
    if total > MAX_POINTS:
        raise UserError(f"the sweep has {columns}, expected a product of at most {MAX_POINTS}", hint="split it")
    keep = _distinct(variants, len(contents), len(styles))
    distinct = keep.count(1)
    _exclude(keep, manifest, contents, styles)
    count = keep.count(1)
    if count > manifest.budget.cells:
        raise UserError(
            f"the sweep has {count} cells ({columns}), its budget is {manifest.budget.cells}",
            hint=f"take fewer, or write budget: {{cells: {count}}}",
        )
    if count == 0:
        raise UserError("the rules under `exclude` leave nothing of the sweep", hint="remove one")
    firsts = [variants.config(first) for first in variants.first]
    digests = tuple(weights_digests[network] if (network := config.loss_network) else "" for config in firsts)
    ids = _identify(manifest, contents, styles, digests, models)
    points: Sequence[int] = range(total)
    if count < total:
        ids, points = list(compress(ids, keep)), list(compress(points, keep))
    if len(set(ids)) < len(ids):
        first = dict(zip(reversed(ids), reversed(points), strict=True))
        ids = list(dict.fromkeys(ids))
        points = [first[cell] for cell in ids]
    return Cells(
        tuple(contents), tuple(styles), variants, manifest.output, points, ids, digests, models,
        excluded=distinct - count, merged=count - len(ids), batch_size=manifest.batch_size,
    )  # fmt: skip


def _identify(
    manifest: Manifest,
    contents: Sequence[ImageRef | None],
    styles: Sequence[StyleRef | None],
    digests: Sequence[str],
    models: Mapping[tuple[int, int], ModelRef],
) -> list[str]:
    """Return the ids of all points; a million take about a second, since only the last join is per cell."""
    variants = manifest.variants
    methods = [
        method_key(variants.config(first), digest, manifest.output)
        for first, digest in zip(variants.first, digests, strict=True)
    ]
    left = [settings + methods[s] for settings, s in zip(variants.settings, variants.structure, strict=True)]
    kinds, kind = variants.kinds()
    style_keys = [style_key(style) for style in styles]
    no_content, no_style = content_key(None), style_key(None)
    ids: list[str] = []
    for content in contents:
        key = content_key(content)
        for number, style in enumerate(style_keys):
            if models:
                rights = [
                    (key if "content" in needs else no_content)
                    + _style_part(style if "style" in needs else no_style, models.get((structure, number)))
                    for structure, needs in enumerate(variants.needs)
                ]
                ids += [join(settings, rights[s]) for settings, s in zip(left, variants.structure, strict=True)]
                continue
            rights = [
                (key if "content" in needs else no_content) + (style if "style" in needs else no_style)
                for needs in kinds
            ]
            if len(rights) == 1:
                right = rights[0]
                ids += [join(settings, right) for settings in left]
            else:
                ids += [join(settings, rights[k]) for settings, k in zip(left, kind, strict=True)]
    return ids


def _style_part(style: bytes, model: ModelRef | None) -> bytes:
    return network_key(style, model) if model else style


def _distinct(variants: Variants[Method], contents: int, styles: int) -> bytearray:
    """Return 1 for each point, 0 for one that differs from an earlier one in an image that it is not made from."""
    kinds, kind = variants.kinds()

    def row(content: int, style: int) -> bytes:
        once = [(not content or "content" in needs) and (not style or "style" in needs) for needs in kinds]
        return bytes(map(once.__getitem__, kind))

    first = row(0, 0) + row(0, 1) * (styles - 1)
    other = row(1, 0) + row(1, 1) * (styles - 1)
    return bytearray(first + other * (contents - 1))


def _exclude(
    keep: bytearray, manifest: Manifest, contents: Sequence[ImageRef | None], styles: Sequence[StyleRef | None]
) -> None:
    """Turn the points that rules leave out to 0; a rule that names a content or style means cells that have one."""
    variants = manifest.variants
    width = len(variants)
    names = {
        "content": [content.name if content else "" for content in contents],
        "style": [style.name if style else "" for style in styles],
    }
    problems = []
    for rule in manifest.sweep.rules:
        chosen = {kind: rule.inputs(kind, known) for kind, known in names.items()}
        for kind in (kind for kind, found in chosen.items() if not found):
            shown = ", ".join(names[kind][:8]) + (", ..." if len(names[kind]) > 8 else "")
            message = f"no {kind} has this name, so the rule excludes nothing"
            problems.append(manifest.where.problem((*rule.where, kind), message, f"the {kind}s are {shown}"))
        matching = [v for v in variants.matching(rule) if rule.named <= variants.needs[variants.structure[v]]]
        if not matching:
            named = " and a ".join(sorted(rule.named))
            message = f"no cell that it means is made from a {named}, so the rule excludes nothing"
            problems.append(manifest.where.problem(rule.where, message))
        for content in chosen["content"]:
            for style in chosen["style"]:
                start = (content * len(styles) + style) * width
                for variant in matching:
                    keep[start + variant] = 0
    if problems:
        raise ManifestError(tuple(problems))
