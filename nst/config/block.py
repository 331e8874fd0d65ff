"""The base classes of all settings: frozen, strict, each field described by its docstring. Knows no method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from nst.config.effects import NoEffect


class Block(BaseModel):
    """A frozen group of settings that refuses unknown keys, NaN and infinities."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True
    )

    RECORDED: ClassVar[Mapping[str, str]] = {}
    """Fields that the others may overrule, each with the property that says what counts: the catalog records that."""


class NamedBlock(Block):
    """A block with a `name`, which may be written as the bare name: `optimizer: adam`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Settings(Block):
    """Settings whose values make an identity: the id of a cell (`Method`) or of a trained network (`Training`)."""

    VERSION: ClassVar[int] = 1
    """Declared version. It is raised when a change to the code alters a method's pixels or a family's weights, so that
    pictures and models made before the change are made anew."""

    REVISED: ClassVar[Mapping[str, Mapping[Any, int]]] = {}
    """Fields with values whose pixels or weights a change to the code has altered, while those of other values stayed,
    and the version of each such value. The pictures of a method and the models of a family have the largest of
    `VERSION` and the versions of their values (`version`); each change takes a number that is larger than all that the
    method or family had before. The fields are not among `VARIES`."""

    VARIES: ClassVar[frozenset[str]] = frozenset()
    """Fields that may differ between the cells of one batch; all other fields are the batch's structure."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset()
    """Fields that change neither pixels nor weights and are therefore left out of the id."""

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset()
    """Fields that were added without raising `VERSION`. Their defaults must never change and must have no effect: at
    the default they are left out of the id, so that what was made before the field existed keeps its id. Settings of
    clips have an effect on clips alone, whose ids have a version of their own (`nst.config.video.VERSION`)."""

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = ()
    """Fields, also of blocks, that have no effect while other fields have certain values. Points of a sweep that differ
    in such fields alone give one cell, which keeps the id of the first of them."""

    DECIDES: ClassVar[frozenset[str]] = frozenset({"backbone"})
    """Names of the fields whose values decide what other fields are filled with where these are left out."""

    INDEPENDENT_VALIDATORS: ClassVar[frozenset[str]] = frozenset({"_from_name", "_fit_layers"})
    """Names of the validators of the whole block that make no field depend on fields outside `DECIDES`. A block with
    no other validators lets a sweep check the values of each axis separately; otherwise a sweep checks every point."""

    @property
    def version(self) -> int:
        """The version of what is made with these values, part of its identity."""
        revised = (versions.get(getattr(self, field), 0) for field, versions in self.REVISED.items())
        return max((self.VERSION, *revised))


def variants(union: Any, key: str) -> dict[str, Any]:
    """Return the members of a tagged union by the value of their tag, in the order of the union.

    Args:
        union: `Annotated[A | B, ...]`; every member declares its tag as a `Literal` with a default.
        key: Name of the tag's field: `name` or `family`.
    """
    members = get_args(get_args(union)[0])
    return {member.model_fields[key].default: member for member in members}
