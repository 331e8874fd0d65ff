"""The manifest multiplied out: contents x styles x variants as columns, each cell identified."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import TYPE_CHECKING, Any

from nst.errors import InputError, ManifestError
from nst.identity import content_key, join, method_key, network_key, style_key, written_inputs_key, written_method_key
from nst.planning.merging import merge
from nst.planning.selection import select
from nst.records import Cell, ImageRef, ModelRef, OutputFormat, StyleRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.config.finish import FinishConfig
    from nst.config.method import Method
    from nst.config.start import StartPicture
    from nst.manifest.sweep import Manifest
    from nst.manifest.variants import Variants

    ChooseModel = Callable[[Method, StyleRef | None], ModelRef]
    """Returns the trained network of a cell, given its settings and its style if it has one."""

    Images = tuple[ImageRef | None, StyleRef | None]
    """The content and the style of a cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Every distinct cell of a sweep, by number: in the order of contents, then styles, then variants.

    Attributes:
        contents: The content images; (None,) if no variant needs one. styles: The same for the styles.
        variants: The points of the axes.
        output: How pictures are encoded.
        points: Per cell, the number of its point in the product of contents, styles and variants.
        ids: Per cell, its id.
        weights_digests: Per structure of the variants, the digest of the backbone's weights, "" without a backbone.
        starts: Per structure, the picture that the optimisation starts from where the settings name one.
        finishes: Per structure, the trained network that pictures pass through at the end where the settings name one.
        models: By structure and style, the trained network of methods that run one.
        excluded: Number of cells that rules leave out.
        merged_points: The points that make the picture of an earlier one, with the number of the cell that stands for
            them (`nst.planning.merging`).
        batch_size, preview_every: What the manifest says of them, or None.
    """

    contents: tuple[ImageRef | None, ...]
    styles: tuple[StyleRef | None, ...]
    variants: Variants[Method]
    output: OutputFormat
    points: Sequence[int]
    ids: list[str]
    weights_digests: tuple[str, ...]
    starts: tuple[ImageRef | None, ...]
    finishes: tuple[ModelRef | None, ...]
    models: Mapping[tuple[int, int], ModelRef]
    excluded: int
    merged_points: Mapping[int, int]
    batch_size: int | None
    preview_every: int | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_clips(self) -> bool:
        """Whether there is a clip among the contents."""
        return any(content and content.clip for content in self.contents)

    @property
    def merged(self) -> int:
        """Number of points that make the picture of an earlier one."""
        return len(self.merged_points)

    def indices(self, number: int) -> tuple[int, int, int]:
        """Return the indices of a cell's content, style and variant."""
        return self.indices_of(self.points[number])

    def indices_of(self, point: int) -> tuple[int, int, int]:
        """Return the indices of the content, the style and the variant of a point of the product."""
        rest, variant = divmod(point, len(self.variants))
        return *divmod(rest, len(self.styles)), variant

    def cell(self, number: int, attempt: int = 1) -> Cell:
        """Return one cell as a record."""
        _, style, variant = self.indices(number)
        structure, config = self.variants.structure[variant], self.variants.config(variant)
        model, start, finish = self.models.get((structure, style)), self.starts[structure], self.finishes[structure]
        return Cell(self.ids[number], *self.images(number), config, self.output, attempt, model, start, finish)

    def images(self, number: int) -> Images:
        """Return the content and the style of a cell, None for an image that its method does not use."""
        return self.images_of(self.points[number])

    def images_of(self, point: int) -> Images:
        """Return the content and the style of a point of the product; else as `images`."""
        content, style, variant = self.indices_of(point)
        needs = self.variants.needs[self.variants.structure[variant]]
        return self.contents[content] if "content" in needs else None, self.styles[style] if "style" in needs else None

    def frames(self, number: int) -> int:
        """Return the number of frames of a cell's clip; 0 for a still."""
        content, _ = self.images(number)
        return len(content.clip.frames) if content and content.clip else 0

    def cost(self, numbers: Sequence[int]) -> float:
        """Return the cost of cells of one structure (`nst.config.method.Method.cost`), of a clip that of all frames."""
        config = self.structure_config(self.structure(numbers[0]))
        if not self.has_clips:
            return len(numbers) * config.cost
        frames = Counter(map(self.frames, numbers))
        return sum((config.clip_cost(each) if each else config.cost) * count for each, count in frames.items())

    def values(self, number: int) -> dict[str, Any]:
        """Return what the axes set in a cell, by dotted path."""
        return self.variants.values(self.indices(number)[2])

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
        keys = [written_method_key(self.structure_config(s), self.output) for s in range(len(variants.first))]
        left = [settings + keys[s] for settings, s in zip(variants.settings, variants.structure, strict=True)]
        distinct, needs = variants.distinct_needs()

        @cache
        def right(pair_and_needs: int) -> bytes:
            pair, number = divmod(pair_and_needs, len(distinct))
            content = self.contents[pair // styles] if "content" in distinct[number] else None
            style = self.styles[pair % styles] if "style" in distinct[number] else None
            return written_inputs_key(content, style)

        def address(number: int) -> str:
            pair, variant = divmod(points[number], width)
            return join(left[variant], right(pair * len(distinct) + needs[variant]))

        return address


def expand(
    manifest: Manifest,
    contents: Sequence[ImageRef],
    styles: Sequence[StyleRef],
    weights_digests: Mapping[BackboneConfig, str],
    *,
    models: Mapping[tuple[int, int], ModelRef] | None = None,
    start_pictures: Mapping[StartPicture, ImageRef] | None = None,
    finishes: Mapping[FinishConfig, ModelRef] | None = None,
) -> Cells:
    """Return the cells of a manifest.

    Args:
        manifest: Contents, styles and settings as patterns and axes.
        contents: The images that its contents name, with unique names.
        styles: The same for its styles.
        weights_digests: The digest of the weights of each of `manifest.backbones()`.
        models: The trained networks (`choose_models`); None where nothing but the shape of the sweep counts.
        start_pictures: The image of each of `manifest.start_pictures()`.
        finishes: The trained network of each of `manifest.finishes()`.

    Raises:
        UserError: Nothing is left, a rule leaves out nothing, or there are more cells than the budget allows.
    """
    variants = manifest.variants
    content_refs = tuple(contents) if _needs(manifest, "content") else (None,)
    style_refs = tuple(styles) if _needs(manifest, "style") else (None,)
    if models is None:
        models = choose_models(manifest, styles, lambda *_: ModelRef("unknown"))
    selection = select(manifest, content_refs, style_refs)
    firsts = [variants.config(first) for first in variants.first]
    digests = tuple(weights_digests[network] if (network := config.loss_network) else "" for config in firsts)
    starts = tuple((start_pictures or {})[named] if (named := config.start_picture) else None for config in firsts)
    unknown = ModelRef("unknown")
    last = tuple((finishes or {}).get(config.finish, unknown) if config.finish else None for config in firsts)
    methods = [
        method_key(config, digest, manifest.output, start, finish)
        for config, digest, start, finish in zip(firsts, digests, starts, last, strict=True)
    ]
    ids = pictures = _identify(variants, content_refs, style_refs, methods, models=models, keys=variants.settings)
    if any(variants.no_effect):
        pictures = _identify(variants, content_refs, style_refs, methods, models=models, keys=variants.effective)
    points: Sequence[int] = range(len(ids))
    if selection.count < len(ids):
        ids, pictures = list(compress(ids, selection.keep)), list(compress(pictures, selection.keep))
        points = list(compress(points, selection.keep))
    merged: dict[int, int] = {}
    if len(set(pictures)) < len(pictures):
        kept, merged = merge(pictures, points)
        ids, points = list(compress(ids, kept)), list(compress(points, kept))
    cells = Cells(
        contents=content_refs,
        styles=style_refs,
        variants=variants,
        output=manifest.output,
        points=points,
        ids=ids,
        weights_digests=digests,
        starts=starts,
        finishes=last,
        models=models,
        excluded=selection.excluded,
        merged_points=merged,
        batch_size=manifest.batch_size,
        preview_every=manifest.preview_every,
    )
    if cells.has_clips:
        _check_clips(cells, manifest)
    return cells


def _check_clips(cells: Cells, manifest: Manifest) -> None:
    """Refuse clips with more frames, or pixels in them, than the budget allows.

    Raises:
        ManifestError: At the budget, or where there is none at the contents.
    """
    numbers = range(len(cells))
    frames = sum(map(cells.frames, numbers))
    pixels = sum(cells.frames(n) * cells.structure_config(cells.structure(n)).pixels for n in numbers)
    megapixels = math.ceil(pixels / 1e6)
    for unit, count, most, fewer in (
        ("frames", frames, manifest.budget.frames, "select fewer with frames and every"),
        ("megapixels", megapixels, manifest.budget.megapixels, "lower size"),
    ):
        if count > most:
            found = f"the clips of the sweep have {count:,} {unit} together; its budget is {most:,}"
            at = ("budget", unit) if unit in manifest.budget.model_fields_set else ("contents",)
            hint = f"{fewer}, or write budget: {{{unit}: {count}}}"
            raise ManifestError((manifest.positions.problem(at, found, hint),))


def _needs(manifest: Manifest, image: str) -> bool:
    return any(image in needs for needs in manifest.variants.needs)


def choose_models(
    manifest: Manifest, styles: Sequence[StyleRef], choose: ChooseModel
) -> dict[tuple[int, int], ModelRef]:
    """Return the trained network of each structure that runs one, for each style, by their numbers.

    Args:
        manifest: The manifest.
        styles: The images that its styles name.
        choose: Returns the network of a cell, given its settings and its style if it has one.

    Raises:
        ManifestError: There is none; each problem is reported where the manifest names the network.
    """
    style_refs = styles if _needs(manifest, "style") else (None,)
    variants, found, problems = manifest.variants, {}, []
    for structure, (first, path) in enumerate(zip(variants.first, variants.paths, strict=True)):
        config = variants.config(first)
        if not config.RUNS_NETWORK:
            continue
        for number, style in enumerate(style_refs):
            asked = style if "style" in config.needs else None
            try:
                found[structure, number] = choose(config, asked)
            except InputError as error:
                problems.append(manifest.positions.problem((*path, "model"), error.message, error.hint))
    if problems:
        raise ManifestError(tuple(dict.fromkeys(problems)))
    return found


def _identify(
    variants: Variants[Method],
    contents: Sequence[ImageRef | None],
    styles: Sequence[StyleRef | None],
    methods: Sequence[bytes],
    *,
    models: Mapping[tuple[int, int], ModelRef],
    keys: Sequence[bytes],
) -> list[str]:
    """Return the ids of all points, given the keys of the structures' methods and of the variants' settings.

    A million take about a second, since only the last join is per cell.
    """
    left = [settings + methods[s] for settings, s in zip(keys, variants.structure, strict=True)]
    # What a cell is made from is the same for all variants with the same needs; a network belongs to a structure.
    needs, number_of = (variants.needs, variants.structure) if models else variants.distinct_needs()
    no_content, no_style = content_key(None), style_key(None)
    style_keys = [style_key(style) for style in styles]
    ids: list[str] = []
    for content in map(content_key, contents):
        for number, style in enumerate(style_keys):
            rights = [
                (content if "content" in needed else no_content)
                + _style_part(style if "style" in needed else no_style, models.get((structure, number)))
                for structure, needed in enumerate(needs)
            ]
            if len(rights) == 1:
                ids += [join(settings, rights[0]) for settings in left]
            else:
                ids += [join(settings, rights[n]) for settings, n in zip(left, number_of, strict=True)]
    return ids


def _style_part(style: bytes, model: ModelRef | None) -> bytes:
    return network_key(style, model) if model else style
