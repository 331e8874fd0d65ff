"""Text and pictures fitted into boxes: the drawing of a contact sheet."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

PAPER, TEXT, FAINT, FAILED = "white", "#222222", "#6b6b6b", "#b3261e"

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


def paste(sheet: Image.Image, picture: Image.Image | None, box: Box) -> None:
    """Fit a picture into the box, centred across, at its top; do nothing for None."""
    if picture is None:
        return
    left, top, width, height = box
    size = fitted(picture, width, height)
    sheet.paste(picture.resize(size, Image.Resampling.LANCZOS), (left + (width - size[0]) // 2, top))


def fitted(picture: Image.Image, width: int, height: int) -> tuple[int, int]:
    """Return the largest size of a picture, (width, height), that fits the given one."""
    scale = min(width / picture.width, height / picture.height)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def montage(pictures: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Return pictures beside and below each other on white paper, uint8 RGB; a single one as it is.

    Args:
        pictures: At least one, HWC uint8 RGB each.
        side: Width of the paper in pixels.
    """
    if len(pictures) == 1:
        return pictures[0]
    across = math.ceil(math.sqrt(len(pictures)))
    down = math.ceil(len(pictures) / across)
    wide = side // across
    sheet = Image.new("RGB", (wide * across, wide * down), PAPER)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        paste(sheet, Image.fromarray(picture), (wide * column + 1, wide * row + 1, wide - 2, wide - 2))
    return np.array(sheet)


def head(sheet: Image.Image, name: str, picture: Image.Image | None, box: Box) -> None:
    """Draw a picture with its name below, as the head of a row; without a picture, the name alone."""
    left, top, width, height = box
    lines = wrap(name, width, 12, 2)
    paste(sheet, picture, (left, top, width, height - 16 * len(lines)))
    below = fitted(picture, width, height - 16 * len(lines))[1] + 2 if picture is not None else 0
    write(ImageDraw.Draw(sheet), lines, (left + width // 2, top + below), 12)


def placard(sheet: Image.Image, heading: str, text: str, box: Box, color: str) -> None:
    """Draw a tinted box with words in the place of a picture."""
    left, top, width, height = box
    draw = ImageDraw.Draw(sheet)
    fill = tuple(round(255 - (255 - int(color[i : i + 2], 16)) * 0.08) for i in (1, 3, 5))
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill, color)
    draw.text((left + 6, top + 5), heading, color, font(13))
    for i, line in enumerate(wrap(text, width - 12, 11, max(1, (height - 26) // 15))):
        draw.text((left + 6, top + 22 + 15 * i), line, color, font(11))


def tag(sheet: Image.Image, text: str, box: Box) -> None:
    """Draw a dark strip with the sign of a clip, a triangle, and a text at the top left of a box."""
    left, top, width, _ = box
    draw, line = ImageDraw.Draw(sheet), cut(text, width - 30, 11)
    draw.rectangle((left + 3, top + 3, left + 23 + round(font(11).getlength(line)), top + 19), TEXT)
    draw.polygon([(left + 8, top + 7), (left + 8, top + 15), (left + 14, top + 11)], PAPER)
    draw.text((left + 18, top + 4), line, PAPER, font(11))


def write(draw: ImageDraw.ImageDraw, lines: Sequence[str], middle: tuple[int, int], size: int = 13) -> None:
    """Write lines centred on `middle[0]`, the first with its top at `middle[1]`."""
    for i, line in enumerate(lines):
        draw.text((middle[0], middle[1] + (size + 4) * i), line, TEXT, font(size), anchor="ma")


def wrap(text: str, width: int, size: int, most: int = 3) -> list[str]:
    """Return lines that fit the width, broken after spaces, underscores, hyphens and commas; the last line is cut."""
    lines: list[str] = []
    for word in _pieces(text):
        if lines and font(size).getlength((lines[-1] + word).rstrip()) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    if len(lines) > most:
        lines[most - 1] = "".join(lines[most - 1 :])
    return [cut(line.rstrip(), width, size) for line in lines[:most]]


def cut(text: str, width: float, size: int) -> str:
    """Return the text, shortened with an ellipsis if it is wider than the width."""
    text = " ".join(text.split())[:400]
    if font(size).getlength(text) <= width:
        return text
    kept = bisect_right(range(len(text)), width, key=lambda n: font(size).getlength(text[:n] + "..."))
    return text[: max(0, kept - 1)] + "..."


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow carries, so that no system font is needed."""
    return ImageFont.load_default(size)


def _pieces(text: str) -> list[str]:
    spaced = text[:2000]
    for mark in "_-,/":
        spaced = spaced.replace(mark, mark + "\0")
    return [piece for word in spaced.split() for piece in (word + " ").split("\0") if piece]
