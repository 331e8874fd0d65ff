"""The manifest: contents x styles x settings, declared. Text in, a checked `Manifest` out, or every fault at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.errors import ManifestError
from nst.manifest.blaming import blaming_changes
from nst.manifest.blocks import Budget, ManifestBlock
from nst.manifest.checking import check
from nst.manifest.clips import check_clips
from nst.manifest.declaration import read_declaration
from nst.manifest.masks import check_masks
from nst.manifest.methods import check_methods, find_methods, needed_images
from nst.records import OutputFormat
from nst.yaml.problems import missing_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nst.config.backbone import BackboneConfig
    from nst.config.fields import ClipFormat, Needs
    from nst.config.finish import FinishConfig
    from nst.config.method import Method
    from nst.config.start import StartPicture
    from nst.manifest.bases import ReadBase
    from nst.manifest.blocks import ContentSpec, StyleSpec
    from nst.manifest.declaration import Declaration
    from nst.manifest.points import Sweep
    from nst.manifest.variants import Variants
    from nst.yaml.positions import Path, Where
    from nst.yaml.reporter import Reporter

_STAND_INS: Final = {"name": "x"}
_IMAGES: Final[tuple[tuple[Literal["content", "style"], str], ...]] = (("content", "contents"), ("style", "styles"))
_LEAST_SUM: Final = 1e-6
"""Least weight of all images of a sum together; with less, the energy of their Gram matrices leaves float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A checked manifest; inputs are still patterns."""

    name: str
    contents: tuple[ContentSpec, ...]
    styles: tuple[StyleSpec, ...]
    combine: Literal["product", "pairs"]
    variants: Variants[Method]
    budget: Budget
    output: OutputFormat
    clip_format: ClipFormat
    batch_size: int | None
    preview_every: int | None
    finish: FinishConfig | None
    positions: Where

    @property
    def sweep(self) -> Sweep:
        """The axes and rules."""
        return self.variants.sweep

    def users(self) -> Iterator[tuple[Method, Path]]:
        """Yield a configuration of each structure of the variants, with its place in the manifest."""
        variants = self.variants
        return ((variants.config(first), path) for first, path in zip(variants.first, variants.paths, strict=True))

    def backbones(self) -> dict[BackboneConfig, Path]:
        """Return the distinct backbones, whose weights `expand` has to know, and where each is first written."""
        found: dict[BackboneConfig, Path] = {}
        for config, path in self.users():
            if config.loss_network:
                found.setdefault(config.loss_network, (*path, "backbone"))
        return found

    def start_pictures(self) -> dict[StartPicture, Path]:
        """Return the distinct starting pictures that settings name, and where each is first written."""
        found: dict[StartPicture, Path] = {}
        for config, path in self.users():
            if start := config.start_picture:
                found.setdefault(start, (*path, "init"))
        return found

    def finishes(self) -> dict[FinishConfig, Path]:
        """Return the distinct last steps, and where each is first written: for all methods, or in one of them."""
        found: dict[FinishConfig, Path] = {}
        for config, path in self.users():
            if finish := config.finish:
                found.setdefault(finish, ("finish",) if finish == self.finish else (*path, "finish"))
        return found


def parse_manifest(text: str, file: str, read_base: ReadBase | None = None) -> Manifest:
    """Return the manifest of a sweep; arguments as `read_declaration`, errors as `check_manifest`."""
    return check_manifest(read_declaration(text, file, read_base))


@blaming_changes
def check_manifest(declaration: Declaration) -> Manifest:
    """Return the manifest of a sweep.

    Raises:
        ManifestError: With every problem, each at its place in its own file.
    """
    if declaration.kind != "sweep":
        message = "this manifest declares trained models, expected a sweep"
        raise ManifestError((declaration.positions.problem(("kind",), message, "`nst run` trains them"),))
    raw, report = declaration.raw, declaration.reporter()
    block, faults = check(ManifestBlock, raw, _STAND_INS)
    report.add_faults(faults)
    methods = find_methods(raw, report)
    if block is not None and block.finish is not None:
        methods = [replace(method, raw={"finish": raw["finish"], **method.raw}) for method in methods]
    variants = check_methods(raw, methods, block.budget.cells if block else Budget().cells, report)
    needed = needed_images(raw, methods, variants)
    if needed is not None and not declaration.base_unreadable:
        _check_images(raw, needed, report)
        _check_pairs(raw, needed, report)
    if block is not None and block.output.alpha and needed is not None and "content" not in needed:
        message = "with these settings there is no content image whose transparency could be kept"
        report.add(("output", "alpha"), message, "remove 'alpha'", key=True)
    if block is not None and variants is not None:
        check_masks(block, variants, report)
        _check_scales(block, variants, report)
        _check_sums(block, variants, report)
        check_clips(block, raw, variants, report)
    report.raise_any()
    assert block is not None
    assert variants is not None
    return Manifest(
        name=block.name,
        contents=block.contents,
        styles=block.styles,
        combine=block.combine,
        variants=variants,
        budget=block.budget,
        output=OutputFormat(block.output.format, block.output.quality, block.output.alpha),
        clip_format=block.output.video,
        batch_size=block.batch_size,
        preview_every=block.preview_every,
        finish=block.finish,
        positions=declaration.positions,
    )


def _check_scales(block: ManifestBlock, variants: Variants[Method], report: Reporter) -> None:
    """Report sizes of style images for methods that have learned the size in training."""
    learned = [config.name for config in map(variants.config, variants.first) if not config.sizes_styles]
    for index, style in enumerate(block.styles if learned else ()):
        for number, scale in enumerate(style.scales):
            if scale != 1.0:
                inner: Path = ("images", number) if style.images else ()
                message = f"with these settings {learned[0]} has learned the size of its styles in training"
                report.add(("styles", index, *inner, "scale"), message, "remove 'scale'", key=True)


def _check_sums(block: ManifestBlock, variants: Variants[Method], report: Reporter) -> None:
    """Report sums of styles that vanish, or for methods and settings that compare something else than Gram matrices."""
    others = [config.name for config in map(variants.config, variants.first) if not config.adds_styles]
    for index, style in enumerate(block.styles):
        total = sum(image.weight for image in style.images or ())
        if style.mix == "sum" and total < _LEAST_SUM:
            message = f"the weights of the sum add up to {total:.3g}, expected at least {_LEAST_SUM:g}"
            hint = "a sum multiplies Gram matrices by these weights, and nothing would be left; or write mix: targets"
            report.add(("styles", index, "images", 0, "weight"), message, hint)
        if style.mix == "sum" and others:
            message = f"with these settings {others[0]} cannot add styles: a sum is defined for Gram matrices alone"
            report.add(("styles", index, "mix"), message, "write mix: targets")


def _check_pairs(raw: dict[str, Any], needed: Needs, report: Reporter) -> None:
    """Report pairs for methods that make their pictures from only one kind of images."""
    lacking = [kind for kind, _ in _IMAGES if kind not in needed]
    if raw.get("combine") == "pairs" and lacking:
        message = f"pairs join contents with styles, and with these settings the method takes no {lacking[0]} images"
        report.add(("combine",), message, "remove 'combine'")


def _check_images(raw: dict[str, Any], needed: Needs, report: Reporter) -> None:
    """Report contents or styles that the cells are made from and that are missing, or that no cell is made from."""
    for kind, key in _IMAGES:
        if kind in needed and key not in raw:
            hint = (
                "pairs join the first content with the first style, and so on" if raw.get("combine") == "pairs" else ""
            )
            report.add_fault(missing_key((), key, hint))
        elif kind not in needed and key in raw:
            message = f"with these settings the method takes no {kind} images"
            report.add((key,), message, f"remove {key!r}", key=True)
