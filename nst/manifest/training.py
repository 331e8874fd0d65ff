"""The manifest of a training (`kind: train`): photographs, styles and settings in, checked models-to-be out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nst.config.block import Block
from nst.config.training import TRAINING_CONFIGS
from nst.errors import ManifestError
from nst.manifest.axes import parse_sweep
from nst.manifest.blocks import FromUri, Mask, Name, Uri, check_one_image, check_uri, listed
from nst.manifest.checking import check
from nst.manifest.methods import paths
from nst.manifest.sweep import with_bases
from nst.manifest.variants import make_variants
from nst.yaml.problems import Reporter, describe, did_you_mean, one_of
from nst.yaml.text import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.config.training import Training
    from nst.errors import Problem
    from nst.yaml.positions import Where

MAX_MODELS: Final = 1_000
"""Settings times styles of one manifest; each is a training of minutes to hours."""

_STAND_INS: Final = {"kind": "train", "name": "x", "styles": ["x"], "training": "x"}


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

    styles: Annotated[tuple[TrainStyle, ...], BeforeValidator(listed), Field(min_length=1)]
    """Styles: one or a list of URIs, globs, prefixes or `{uri, name, mask}`. Each image is a model of its own, except
    for families that hold all styles in one network."""

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
    """One per point of the axes."""
    where: Where


def manifest_kind(text: str, file: str, read_base: Callable[[str], str] | None = None) -> Literal["sweep", "train"]:
    """Return what a manifest declares, whatever else may be wrong with it."""
    if "train" not in text and "extends" not in text:
        return "sweep"  # a sweep of ten thousand lines need not be read twice
    problems: list[Problem] = []
    try:
        value = with_bases(load(text, file, problems), file, read_base, problems).value
    except ManifestError:
        return "sweep"
    return "train" if isinstance(value, dict) and value.get("kind") == "train" else "sweep"


def parse_train_manifest(text: str, file: str, read_base: Callable[[str], str] | None = None) -> TrainManifest:
    """Return the training manifest of a YAML text; arguments as `nst.manifest.sweep.parse_manifest`.

    Raises:
        ManifestError: With every problem, each at its place in its own file.
    """
    problems: list[Problem] = []
    document = with_bases(load(text, file, problems), file, read_base, problems)
    report = Reporter(document.where, problems)
    raw = document.value
    if not isinstance(raw, dict):
        report.add((), f"found {describe(raw)}, expected a mapping", "start with `kind: train`")
        report.raise_any()
    block, faults = check(TrainBlock, raw, _STAND_INS)
    for fault in faults:
        report.add(fault.path, fault.message, fault.hint, key=fault.key)
    configs = _check_training(raw, report)
    _check_photographs(raw, configs, report)
    if block is not None:
        _check_masks(block.styles, configs, report)
    report.raise_any()
    assert block is not None
    return TrainManifest(block.name, block.photographs, block.styles, block.parent or "", configs, document.where)


def _check_photographs(raw: dict[str, Any], configs: tuple[Training, ...], report: Reporter) -> None:
    """Report photographs that the family needs and that are missing, or that it does not look at."""
    misspelt = {problem.hint for problem in report.problems.values()}
    needed = any(config.photographs for config in configs)
    if needed and "photographs" not in raw and "did you mean 'photographs'?" not in misspelt:
        report.add((), "the key 'photographs' is missing")
    elif configs and not needed and "photographs" in raw:
        report.add(("photographs",), "the family learns from noise as it is set", "remove 'photographs'", key=True)


def _check_masks(styles: Sequence[TrainStyle], configs: tuple[Training, ...], report: Reporter) -> None:
    """Report masks of styles that the family needs and that are missing, or that it does not look at."""
    for index, style in enumerate(styles):
        if configs and style.mask is None and configs[0].masks:
            message = f"{configs[0].family} learns from masks, and this style has none"
            report.add(("styles", index), message, "write {uri: ..., mask: ...}")
        elif configs and style.mask is not None and not configs[0].masks:
            message = f"{configs[0].family} looks at no masks of styles"
            report.add(("styles", index, "mask"), message, "remove 'mask'", key=True)


def _check_training(raw: dict[str, Any], report: Reporter) -> tuple[Training, ...]:
    """Return the validated settings of every point."""
    if "training" not in raw:
        return ()  # reported as missing
    training = {"family": raw["training"]} if isinstance(raw["training"], str) else raw["training"]
    model = _family(training, report, bare=isinstance(raw["training"], str))
    if model is None:
        return ()
    axes = raw.get("sweep")
    if isinstance(axes, dict) and "exclude" in axes:
        report.add(("sweep", "exclude"), "a training has no exclusions", "leave the values out of the axes", key=True)
        axes = {key: value for key, value in axes.items() if key != "exclude"}
    sweep = parse_sweep(axes, paths(model) - {"family"}, report, owner="the family")
    variants = make_variants(model, training, sweep, report, where=("training",))
    if variants is None:
        return ()
    if len(variants) > MAX_MODELS:
        report.add(("sweep",), f"the axes make {len(variants)} models, expected at most {MAX_MODELS}", key=True)
        return ()
    return tuple(variants.config(number) for number in range(len(variants)))


def _family(training: Any, report: Reporter, *, bare: bool) -> type[Training] | None:
    """Return the settings' model that `family` names."""
    families = sorted(TRAINING_CONFIGS)
    if not isinstance(training, dict):
        hint = f"e.g. training: {{family: {families[0]}}}"
        report.add(("training",), f"found {describe(training)}, expected a mapping", hint)
        return None
    if "family" not in training:
        hint = f"the families are {', '.join(families)}"
        report.add(("training",), "the key 'family' is missing", hint, key=True)
        return None
    family = training["family"]
    if isinstance(family, str) and family in TRAINING_CONFIGS:
        return TRAINING_CONFIGS[family]
    at = ("training",) if bare else ("training", "family")
    hint = did_you_mean(family, families) if isinstance(family, str) else ""
    report.add(at, f"found {describe(family)}, expected {one_of(families)}", hint)
    return None
