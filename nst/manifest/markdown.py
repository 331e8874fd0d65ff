"""Pages of Markdown: tables, sections, and the list of all sections at the top."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the text below it.

    Attributes:
        title: The heading: letters, digits, spaces, `:` and `_`, unique on its page.
        body: Paragraphs and tables, Markdown each.
        parts: Sections one level below.
    """

    title: str
    body: tuple[str, ...]
    parts: tuple[Section, ...] = ()


def page(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return a page: its title, an introduction, links to all sections, and the sections."""
    contents = [_entry(section) for section in sections]
    return "\n\n".join([f"# {title}", introduction.strip(), "\n".join(contents), *_rendered(sections, 2)])


def anchor(title: str) -> str:
    """Return the fragment that code-hosting sites give to a heading."""
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def link(title: str, text: str = "", page: str = "") -> str:
    """Return a link to a section.

    Args:
        title: Its heading.
        text: What the link says; the heading by default.
        page: File of its page, or "" on the same page.
    """
    return f"[{text or title}]({page}#{anchor(title)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are put on one line, and their `|` is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _entry(section: Section) -> str:
    parts = ", ".join(link(part.title) for part in section.parts)
    return f"- {link(section.title)}{': ' if parts else ''}{parts}"


def _rendered(sections: Sequence[Section], level: int) -> Iterator[str]:
    for section in sections:
        yield f"{'#' * level} {section.title}"
        yield from (text.strip() for text in section.body)
        yield from _rendered(section.parts, level + 1)
