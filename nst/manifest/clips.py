"""What a manifest may ask of clips: settings for them need one, and some settings do not go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst.config.video import OF_CLIPS

if TYPE_CHECKING:
    from nst.config.method import Method
    from nst.manifest.blocks import ManifestBlock
    from nst.manifest.variants import Variants
    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter


def check_clips(block: ManifestBlock, raw: dict[str, Any], variants: Variants[Method], report: Reporter) -> None:
    """Report settings for clips without a clip, what cannot be kept of a clip, and a last step of frames in a chain."""
    clips = sum(content.video is not None for content in block.contents)
    if clips < len(block.contents):
        _check_axes(variants, report, mixed=clips > 0)
    if not clips:
        _check_unused(raw, report)
        return
    if block.output.alpha:
        report.add(("output", "alpha"), "clips hold no transparency", "remove 'alpha'", key=True)
    _check_finish(block, variants, report)


def _check_finish(block: ManifestBlock, variants: Variants[Method], report: Reporter) -> None:
    """Report a last step of frames that follow from the saved frames before them: it would add up along the clip."""
    places: dict[Path, None] = {}
    for first, path in zip(variants.first, variants.paths, strict=True):
        config = variants.config(first)
        if config.finish and config.motion and getattr(config.motion, "blend", 1.0) > 0:
            places[("finish",) if config.finish == block.finish else (*path, "finish")] = None
    message = (
        "every frame of a clip follows from the saved frame before it, so that 'finish' would add up along the clip"
    )
    for place in places:
        report.add(
            place, message, "remove 'finish', and pass the finished clip through the network: nst stylize", key=True
        )


def _check_axes(variants: Variants[Method], report: Reporter, *, mixed: bool) -> None:
    """Report axes that only clips look at: of a still each of their values would be a cell with the same picture."""
    for axis in variants.sweep.axes:
        if axis.keys[0] in OF_CLIPS:
            found = f"{axis.setting} has no effect on stills, which would be made once for each of its values"
            hint = "write a sweep for the stills by themselves" if mixed else "write contents: {video: clip.mp4}"
            report.add(axis.path, found, hint, key=True)


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
