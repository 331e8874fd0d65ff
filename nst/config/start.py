"""Settings of what a picture starts from and of how large it is, which several methods have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from nst.config.block import Block
from nst.config.fields import Pixels

ASSUMED_SIDE = 1024
"""Long side in pixels by which the cost of a picture of its content's own size is estimated before the content is
read."""


class StartPicture(Block):
    """A picture that the optimisation starts from, stretched to the size of the result."""

    uri: Annotated[str, Field(min_length=1, max_length=2048)]
    """Path or URI of one image. Relative to the manifest."""

    @field_validator("uri")
    @classmethod
    def _one_image(cls, value: str) -> str:
        if "*" in value or value.endswith("/"):
            raise ValueError("a start is one image, not a glob or a prefix; an axis over 'init' takes several starts")
        return value


def _is_picture(value: Any) -> str:
    return "picture" if isinstance(value, dict | StartPicture) else "word"


def _is_original(value: Any) -> Any:
    if value != "original":
        raise ValueError(f"found {value!r}, expected a whole number or 'original'")
    return value


def _kind_of_size(value: Any) -> str:
    return "word" if isinstance(value, str) and not value.strip().isdigit() else "number"


Size = Annotated[
    Annotated[Pixels, Tag("number")]
    | Annotated[Annotated[Literal["original"], BeforeValidator(_is_original)], Tag("word")],
    Discriminator(_kind_of_size),
]
"""A length in pixels, or `original`: the size of the content image itself."""

FromContentOrNoise = Annotated[
    Annotated[Literal["content", "noise"], Tag("word")] | Annotated[StartPicture, Tag("picture")],
    Discriminator(_is_picture),
]
"""The content image, noise, or a given picture."""

FromAnything = Annotated[
    Annotated[Literal["content", "noise", "style"], Tag("word")] | Annotated[StartPicture, Tag("picture")],
    Discriminator(_is_picture),
]
"""The content image, noise, the style image, or a given picture."""
