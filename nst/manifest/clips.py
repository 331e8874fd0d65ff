"""What a manifest may ask of clips: settings for them need one, and some settings do not go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.manifest.blocks import frames_of

if TYPE_CHECKING:
    from nst.manifest.blocks import ManifestBlock
    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter

_OF_CLIPS: Final = ("video", "temporal_weight")
"""Settings of methods that have no effect on stills."""


def check_clips(block: ManifestBlock, raw: dict[str, Any], report: Reporter) -> None:
    """Report settings for clips without a clip, selections of no frame, and what cannot be made of a clip."""
    clips = [index for index, content in enumerate(block.contents) if content.video is not None]
    if not clips:
        _check_unused(raw, report)
        return
    for index in clips:
        first, last = frames_of(block.contents[index].frames)
        if last is not None and last < first:
            message = f"found {block.contents[index].frames!r}, expected the first frame before the last one"
            report.add(("contents", index, "frames"), message, "e.g. frames: 10-80, counted from zero")
    if block.output.alpha:
        report.add(("output", "alpha"), "clips hold no transparency", "remove 'alpha'", key=True)


def _check_unused(raw: dict[str, Any], report: Reporter) -> None:
    """Report settings for clips in a manifest without one."""
    message, hint = "no content of this manifest is a clip", "write contents: {video: clip.mp4}, or remove it"
    written = raw.get("method")
    places: list[tuple[Path, Any]] = [(("method",), written)]
    several = raw.get("methods")
    places += [(("methods", index), each) for index, each in enumerate(several if isinstance(several, list) else ())]
    for path, block in places:
        for key in _OF_CLIPS if isinstance(block, dict) else ():
            if key in block:
                report.add((*path, key), f"{key} has no effect: {message}", hint, key=True)
