"""A block of settings that names what it configures: a method, or a family of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nst.config.block import Settings
from nst.yaml.problems import describe, missing_key, not_one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter

Config = TypeVar("Config", bound=Settings)


@dataclass(frozen=True, slots=True)
class NamedSettings(Generic[Config]):
    """A block of the manifest whose name is known.

    Attributes:
        settings: What it is validated as.
        name: The name.
        raw: The settings as written, the name among them.
        path: Where the block is in the manifest.
    """

    settings: type[Config]
    name: str
    raw: dict[str, Any]
    path: Path


def find_named(
    raw: Any, path: Path, known: Mapping[str, type[Config]], tag: str, report: Reporter
) -> NamedSettings[Config] | None:
    """Return a block with what it names; None after reporting that it names nothing.

    Args:
        raw: The block, or the bare name.
        path: Where it is in the manifest.
        known: The settings by name.
        tag: The key of the name: `name` or `family`.
        report: Receives the problem.
    """
    block = {tag: raw} if isinstance(raw, str) else raw
    if not isinstance(block, dict):
        several = isinstance(raw, list) and path == ("method",)
        example = f"e.g. {path[0]}: {{{tag}: {next(iter(known))}}}"
        hint = "list several methods under `methods`" if several else example
        report.add(path, f"found {describe(raw)}, expected a name or a mapping", hint)
    elif tag not in block:
        report.add_fault(missing_key(path, tag, f"expected one of {', '.join(known)}"))
    elif not isinstance(name := block[tag], str) or name not in known:
        report.add_fault(not_one_of((*path, tag), name, known))
    else:
        return NamedSettings(known[name], name, block, path)
    return None
