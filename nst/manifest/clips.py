"""What a manifest may ask of clips: settings for them need one, and some settings do not go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nst.manifest.blocks import ManifestBlock
    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter

OF_CLIPS: Final = ("video", "temporal_weight")
"""Settings of methods that have no effect on stills."""


def check_clips(block: ManifestBlock, raw: dict[str, Any], report: Reporter) -> None:
    """Report settings for clips without a clip, and what cannot be kept of a clip."""
    if all(content.video is None for content in block.contents):
        _check_unused(raw, report)
    elif block.output.alpha:
        report.add(("output", "alpha"), "clips hold no transparency", "remove 'alpha'", key=True)


def _check_unused(raw: dict[str, Any], report: Reporter) -> None:
    """Report settings for clips in a manifest without one."""
    message, hint = "no content of this manifest is a clip", "write contents: {video: clip.mp4}, or remove it"
    written = raw.get("method")
    places: list[tuple[Path, Any]] = [(("method",), written)]
    several = raw.get("methods")
    places += [(("methods", index), each) for index, each in enumerate(several if isinstance(several, list) else ())]
    for path, block in places:
        for key in OF_CLIPS if isinstance(block, dict) else ():
            if key in block:
                report.add((*path, key), f"{key} has no effect: {message}", hint, key=True)
