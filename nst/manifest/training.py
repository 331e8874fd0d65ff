"""The manifest of a training (`kind: train`): which networks are to be trained, on what, with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nst.config.block import Block
from nst.config.locations import check_uri
from nst.config.training import TRAINING_CONFIGS
from nst.manifest.axes import parse_sweep
from nst.manifest.blaming import blaming_changes
from nst.manifest.blocks import FromUri, Mask, Name, Uri, check_one_image, listed
from nst.manifest.building import make_variants
from nst.manifest.checking import check
from nst.manifest.declaration import read_declaration
from nst.manifest.methods import paths
from nst.manifest.named import find_named
from nst.yaml.problems import missing_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.config.training import Training
    from nst.manifest.bases import ReadBase
    from nst.manifest.declaration import Declaration
    from nst.yaml.positions import Where
    from nst.yaml.reporter import Reporter

MAX_MODELS: Final = 1_000
"""Settings times styles of one manifest; each is a training of minutes to hours."""

_STAND_INS: Final = {"kind": "train", "name": "x", "training": "x"}
_FIXED: Final = {"family": "write a manifest for each family"}


class TrainStyle(FromUri):
    """Style images of a training."""

    uri: Uri
    """Path or URI of an image, a glob (`paintings/*.jpg`), or a prefix that ends in `/`. Relative to the manifest."""

    name: Name | None = None
    """Readable name in tables and file names; the file's stem by default."""

    mask: Mask = Field(default=None, validate_default=False)
    """Label image of the style, for families that learn region by region: what each of its colours is painted like."""

    @model_validator(mode="after")
    def _one_mask_each(self) -> TrainStyle:
        check_one_image(self.uri, self.mask)
        return self


class TrainBlock(Block):
    """Everything that a training manifest may say."""

    kind: Literal["train"]
    """What the manifest declares: trained models."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    """Name of the training: small letters, digits, `.`, `_` and `-`."""

    extends: Uri | None = None
    """Path or URI of a manifest that this one is laid over, as in a sweep's."""

    photographs: Annotated[
        tuple[Annotated[Uri, AfterValidator(check_uri)], ...], BeforeValidator(listed), Field(min_length=1)
    ] = Field(default=(), validate_default=False)
    """What to learn on: one or a list of URIs, globs and prefixes of photographs, relative to the manifest. The papers
    take 80,000, a thousand make a model. Left out for families that learn from noise."""

    styles: Annotated[tuple[TrainStyle, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        default=(), validate_default=False
    )
    """Styles: one or a list of URIs, globs, prefixes or `{uri, name, mask}`. Each image is a model of its own, except
    for families that hold all styles in one network. Left out for `super_resolution`, which learns none."""

    parent: Annotated[str, Field(min_length=4, max_length=2048)] | None = None
    """Begin with the weights of this model: its id or the beginning of it, or the URI of a .safetensors file."""

    training: Any
    """The family of networks by name, with the settings that are not its defaults."""

    sweep: Any = None
    """Axes over the settings of `training`, as in a sweep's manifest, without `exclude`: a model for each point."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainManifest:
    """A checked training manifest; inputs are still patterns."""

    name: str
    photographs: tuple[str, ...]
    styles: tuple[TrainStyle, ...]
    parent: str
    configs: tuple[Training, ...]
    """The settings of each point of the axes."""
    positions: Where


def parse_train_manifest(text: str, file: str, read_base: ReadBase | None = None) -> TrainManifest:
    """Return the manifest of a training; arguments as `read_declaration`, errors as `check_train_manifest`."""
    return check_train_manifest(read_declaration(text, file, read_base))


@blaming_changes
def check_train_manifest(declaration: Declaration) -> TrainManifest:
    """Return the manifest of a training.

    Raises:
        ManifestError: With every problem, each at its place in its own file.
    """
    raw, report = declaration.raw, declaration.reporter()
    block, faults = check(TrainBlock, raw, _STAND_INS)
    report.add_faults(faults)
    _check_styles(raw, report)
    configs = _check_training(raw, report)
    _check_photographs(raw, configs, report)
    if block is not None:
        _check_masks(block.styles, configs, report)
    report.raise_any()
    assert block is not None
    return TrainManifest(
        name=block.name,
        photographs=block.photographs,
        styles=block.styles,
        parent=block.parent or "",
        configs=configs,
        positions=declaration.positions,
    )


def _check_training(raw: dict[str, Any], report: Reporter) -> tuple[Training, ...]:
    """Return the validated settings of every point, none after reporting a fault."""
    if "training" not in raw:
        return ()  # reported as missing
    named = find_named(raw["training"], ("training",), TRAINING_CONFIGS, "family", report)
    if named is None:
        return ()
    axes = raw.get("sweep")
    if isinstance(axes, dict) and "exclude" in axes:
        hint = "leave the values out of the axes"
        report.add(("sweep", "exclude"), "a training manifest takes no 'exclude'", hint, key=True)
        axes = {key: value for key, value in axes.items() if key != "exclude"}
    sweep = parse_sweep(axes, paths(named.settings) - {"family"}, report, fixed=_FIXED, owner="the family")
    variants = make_variants(named, sweep, report)
    if variants is None:
        return ()
    if len(variants) > MAX_MODELS:
        report.add(("sweep",), f"the axes make {len(variants)} models, expected at most {MAX_MODELS}", key=True)
        return ()
    return tuple(variants.config(number) for number in range(len(variants)))


def _check_photographs(raw: dict[str, Any], configs: tuple[Training, ...], report: Reporter) -> None:
    """Report photographs that the family needs and that are missing, or that it does not learn from."""
    needed = any(config.photographs for config in configs)
    if needed and "photographs" not in raw:
        report.add_fault(missing_key((), "photographs"))
    elif configs and not needed and "photographs" in raw:
        message = "with these settings the family learns from noise, not from photographs"
        report.add(("photographs",), message, "remove 'photographs'", key=True)


def _check_styles(raw: dict[str, Any], report: Reporter) -> None:
    """Report styles that are missing, or that the family does not learn."""
    training = raw.get("training")
    family = training.get("family") if isinstance(training, dict) else training
    learns = not any(name == family and config.KNOWS == "none" for name, config in TRAINING_CONFIGS.items())
    if learns and "styles" not in raw:
        report.add_fault(missing_key((), "styles"))
    elif not learns and "styles" in raw:
        report.add(("styles",), f"{family} learns no style", "remove 'styles'", key=True)


def _check_masks(styles: Sequence[TrainStyle], configs: tuple[Training, ...], report: Reporter) -> None:
    """Report masks of styles that the family needs and that are missing, or that it does not use."""
    for index, style in enumerate(styles):
        if configs and style.mask is None and configs[0].masks:
            message = f"{configs[0].family} learns from masks, and this style has none"
            report.add(("styles", index), message, "write {uri: ..., mask: ...}")
        elif configs and style.mask is not None and not configs[0].masks:
            message = f"{configs[0].family} takes no masks of styles"
            report.add(("styles", index, "mask"), message, "remove 'mask'", key=True)
