"""What every configuration block shares: frozen, strict, described. Knows no method and no tensor."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Block(BaseModel):
    """A frozen group of settings that refuses unknown keys, NaN and infinities."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True
    )


class NamedBlock(Block):
    """A block with a `name`, which may be written as the bare name: `optimizer: adam`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Settings(Block):
    """Settings whose values make an identity: the id of a cell (`Method`) or of a trained network (`Training`)."""

    VERSION: ClassVar[int] = 1
    """Declared version: raised when the pixels of a method, or the weights of a family of networks, change, so that
    what was made before is made anew."""

    VARIES: ClassVar[frozenset[str]] = frozenset()
    """Fields that may differ between the cells of one batch; all other fields are the batch's structure."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset()
    """Fields that do not bear on pixels or weights and are left out of the id."""

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset()
    """Fields that were added without raising `VERSION`. Their defaults must never change and must have no effect: at
    the default they are left out of the id, so that what was made before the field existed keeps its id."""

    PRESET: ClassVar[str] = ""
    """The field, if any, whose value decides what the fields that are left out are filled with."""

    INDEPENDENT_VALIDATORS: ClassVar[frozenset[str]] = frozenset({"_from_name"})
    """Validators of the whole block that leave fields independent of each other, once `PRESET` is given. A sweep checks
    the values of each axis by themselves then; with any other validator, every point of the sweep is checked whole."""


def variants(union: Any, key: str) -> dict[str, Any]:
    """Return the members of a tagged union by the value of their tag, in the order of the union.

    Args:
        union: `Annotated[A | B, ...]`, members that each have a `Literal` as the default of their tag.
        key: The tag: `name` or `family`.
    """
    members = get_args(get_args(union)[0])
    return {member.model_fields[key].default: member for member in members}
