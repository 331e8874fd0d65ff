"""What every configuration block shares: frozen, strict, described. Knows no method and no tensor."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator


class Block(BaseModel):
    """A frozen group of settings that refuses unknown keys, NaN and infinities."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True
    )

    LATER: ClassVar[frozenset[str]] = frozenset()
    """Fields of a method, or of a family of networks, that came after its `VERSION`: at their defaults, which stay and
    mean that nothing is done, they are no part of a cell's or model's identity (`nst.identity`)."""


class NamedBlock(Block):
    """A block with a `name`, which may be written as the bare name: `optimizer: adam`."""

    @property
    def masks(self) -> Literal["none", "allowed", "needed", "content"]:
        """Whether a method looks at masks of its images, as it is set; `content`: needs that of the content alone."""
        return "none"

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value
