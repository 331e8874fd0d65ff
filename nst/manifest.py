"""The manifest: contents x styles x settings, declared. Text in, a checked `Manifest` out, or every fault at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from nst.config import METHOD_CONFIGS
from nst.config.block import Block
from nst.errors import ManifestError
from nst.manifest_errors import (
    Reporter,
    blocks,
    check,
    describe,
    did_you_mean,
    one_of,
)
from nst.positions import Document, merge
from nst.records import OutputFormat
from nst.sweep_axes import Sweep, parse_sweep
from nst.variants import Variants, make_variants
from nst.yaml_text import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from nst.config import MethodConfig
    from nst.config.backbone import BackboneConfig
    from nst.errors import Problem
    from nst.positions import Where

SCHEMES: Final = ("file", "s3", "memory", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "hf", "sftp", "hdfs")
"""URI schemes that a manifest may name."""
MAX_BASES: Final = 8

_TYPED_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _check_uri(uri: str) -> str:
    scheme, found, _ = uri.partition("://")
    if found and scheme not in SCHEMES:
        hint = did_you_mean(scheme, SCHEMES)
        raise ValueError(
            f"unknown URI scheme {scheme[:40]!r}, expected {one_of(SCHEMES)}" + (f"; {hint}" if hint else "")
        )
    if uri.startswith("~"):
        raise ValueError("'~' is not expanded in a manifest; write the whole path or one relative to the manifest")
    return uri


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Uri = Annotated[str, Field(min_length=1, max_length=2048)]
Name = Annotated[str, Field(pattern=_TYPED_NAME)]


class _FromUri(Block):
    """A block with a `uri`, which may be written as the bare URI."""

    @model_validator(mode="before")
    @classmethod
    def _from_uri(cls, value: Any) -> Any:
        return {"uri": value} if isinstance(value, str) else value

    @field_validator("uri", check_fields=False)
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        return value if value is None else _check_uri(value)


class ContentSpec(_FromUri):
    """Content images: a URI, a glob or a prefix."""

    uri: Uri
    """Path or URI of an image, a glob (`photos/*.jpg`), or a prefix that ends in `/`. Relative to the manifest."""

    name: Name | None = None
    """Readable name in tables and file names; the file's stem by default."""


class MixImage(_FromUri):
    """One image of a weighted mix."""

    uri: Uri
    """Path or URI of one image."""

    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Share in the mix; the weights of a mix are scaled to add up to one."""

    @field_validator("uri")
    @classmethod
    def _one_image(cls, value: str) -> str:
        if "*" in value or value.endswith("/"):
            raise ValueError("a mix names single images, no globs and no prefixes")
        return value


class StyleSpec(_FromUri):
    """One style, or several: a URI, a glob, a prefix, or a weighted mix of images."""

    uri: Uri | None = None
    """Path or URI of an image, a glob, or a prefix that ends in `/`: each image is a style."""

    name: Name | None = None
    """Readable name; the file's stem by default."""

    images: Annotated[tuple[MixImage, ...], Field(min_length=1, max_length=64)] | None = None
    """Images of one mixed style, instead of `uri`."""

    mix: Literal["targets", "losses"] = "targets"
    """How `images` are mixed: their Gram targets averaged, or their losses summed."""

    @model_validator(mode="after")
    def _one_source(self) -> StyleSpec:
        if (self.uri is None) == (self.images is None):
            found = "neither" if self.uri is None else "both"
            raise ValueError(
                f"found {found} 'uri' and 'images', expected one of them".replace(
                    "neither 'uri' and", "neither 'uri' nor"
                )
            )
        return self


class Budget(Block):
    """What the sweep may cost; more is refused before anything runs."""

    cells: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Largest number of cells (pictures) of the sweep."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Largest estimated duration in hours, where the catalog's history allows an estimate."""


class Output(Block):
    """How pictures are encoded."""

    format: Literal["png", "jpeg", "webp"] = "png"
    """PNG keeps every bit; the others lose some, so their format and quality are part of a cell's identity."""

    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Quality of JPEG and WebP."""


class ManifestBlock(Block):
    """Everything that a manifest may say."""

    kind: Literal["sweep"] = "sweep"
    """What the manifest declares."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    """Name of the sweep: small letters, digits, `.`, `_` and `-`."""

    extends: Uri | None = None
    """Path or URI of a manifest that this one is laid over: mappings are merged, everything else is replaced, `null`
    drops what the other says."""

    contents: Annotated[tuple[ContentSpec, ...], BeforeValidator(_listed), Field(min_length=1)]
    """Content images: one or a list of URIs, globs, prefixes or `{uri, name}`."""

    styles: Annotated[tuple[StyleSpec, ...], BeforeValidator(_listed), Field(min_length=1)]
    """Styles: one or a list of URIs, globs, prefixes, `{uri, name}` or `{name, mix, images}`."""

    method: Any
    """The method by name, with the settings that are not its defaults."""

    sweep: Any = None
    """Axes over the method's settings."""

    budget: Budget = Budget()
    output: Output = Output()

    batch_size: Annotated[int, Field(ge=1, le=256)] | None = None
    """Largest number of cells optimised together; by default as many as make about a million pixels, at most 8."""


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
        read_base: Returns the text of the manifest that `extends` names; it resolves what is relative and raises
            OSError or UserError for what cannot be read. Without it, `extends` is refused.

    Raises:
        ManifestError: With every problem, each at its place in its own file.
    """
    problems: list[Problem] = []
    document = _with_bases(load(text, file, problems), file, read_base, problems)
    report = Reporter(document.where, problems)
    raw = document.value
    if not isinstance(raw, dict):
        found = "an empty file" if raw is None else describe(raw)
        report.add((), f"found {found}, expected a mapping", "start with `name: my-sweep`")
        report.raise_any()
    block = _check_block(raw, report)
    variants = _check_method(raw, report)
    if block and variants:
        count = len(variants) - sum(variants.excluded())
        if not count:
            report.add(("sweep", "exclude"), "the rules exclude every point", "remove one")
        elif count > block.budget.cells:
            _over_budget(count, block.budget.cells, report)
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


def _over_budget(count: int, cells: int, report: Reporter) -> None:
    message = f"the sweep has {count} points for each content and style, the budget is {cells} cells"
    report.add(("budget", "cells"), message, f"take fewer values, or write budget: {{cells: {count}}} or more")


def _with_bases(
    document: Document, file: str, read_base: Callable[[str], str] | None, problems: list[Problem]
) -> Document:
    """Return the document laid over the manifests that it extends."""
    chain = [file]
    top = document
    while isinstance(top.value, dict) and top.value.get("extends") is not None:
        base = top.value["extends"]
        refusal = ""
        if not isinstance(base, str) or not base:
            refusal = f"found {describe(base)}, expected the path or URI of a manifest"
        elif read_base is None:
            refusal = "`extends` is not possible here"
        elif base in chain:
            refusal = f"the manifests extend each other in a circle: {' -> '.join([*chain, base])}"
        elif len(chain) > MAX_BASES:
            refusal = f"more than {MAX_BASES} manifests extend each other"
        if not refusal:
            assert read_base is not None
            try:
                text = read_base(base)
            except (OSError, UnicodeError) as error:
                refusal = f"cannot read {base!r}: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
        if refusal:
            problems.append(top.where.problem(("extends",), refusal))
            break
        chain.append(base)
        top = load(text, base, problems)
        if not isinstance(top.value, dict):
            problems.append(top.where.problem((), f"found {describe(top.value)}, expected a mapping"))
            break
        document = merge(top, document)
    return document


def _check_block(raw: dict[str, Any], report: Reporter) -> ManifestBlock | None:
    """Return the validated top level, `method` and `sweep` unseen."""
    block, faults = check(ManifestBlock, raw, {"name": "x", "contents": "x", "styles": "x", "method": "x"})
    for fault in faults:
        report.add(fault.path, fault.message, fault.hint, key=fault.key)
    return block


def _check_method(raw: dict[str, Any], report: Reporter) -> Variants | None:
    """Return the validated variants of `method` under `sweep`."""
    if "method" not in raw:
        return None  # reported as missing
    method = {"name": raw["method"]} if isinstance(raw["method"], str) else raw["method"]
    names = sorted(METHOD_CONFIGS)
    if not isinstance(method, dict):
        report.add(("method",), f"found {describe(method)}, expected a mapping", f"e.g. method: {{name: {names[0]}}}")
        return None
    if "name" not in method:
        report.add(("method",), "the key 'name' is missing", f"the methods are {', '.join(names)}", key=True)
        return None
    name = method["name"]
    if not isinstance(name, str) or name not in METHOD_CONFIGS:
        hint = did_you_mean(name, names) if isinstance(name, str) else ""
        report.add(("method", "name"), f"found {describe(name)}, expected the method {one_of(names)}", hint)
        return None
    model = METHOD_CONFIGS[name]
    before = len(report.problems)
    sweep = parse_sweep(raw.get("sweep"), paths(model) - {"name"}, report)
    variants = make_variants(model, method, sweep, report)
    return variants if len(report.problems) == before else None


def paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted paths of all settings of a model, blocks and what is in them."""
    found = set()
    for field, info in model.model_fields.items():
        found.add(prefix + field)
        for block in blocks(info.annotation):
            found |= paths(block, f"{prefix}{field}.")
    return found
