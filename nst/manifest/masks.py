"""Which images of a manifest need a mask, and which must not have one: masks come for all images or for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nst.config.method import Method
    from nst.manifest.blocks import ManifestBlock
    from nst.manifest.variants import Variants
    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter


def check_masks(block: ManifestBlock, variants: Variants[Method], report: Reporter) -> None:
    """Report masks that a method does not use, masks that are missing, and contents without a picture."""
    configs = [variants.config(first) for first in variants.first]
    wanted = {config.masks: config.name for config in reversed(configs)}
    images = list(_images(block))
    masked = any(mask for _, _, mask in images)
    for path, single, mask in images:
        needed = wanted.get("needed") or (wanted.get("content") if path[0] == "contents" else None)
        if mask and "none" in wanted:
            message = f"with these settings {wanted['none']} takes no masks"
            report.add((*path, "mask"), message, "remove 'mask'", key=True)
        elif mask and wanted.keys() == {"content"} and path[0] == "styles":
            message = f"with these settings {wanted['content']} takes masks of contents only"
            hint = "remove 'mask': the network was trained with the mask of its own style"
            report.add((*path, "mask"), message, hint, key=True)
        elif not mask and needed:
            hint = "write {uri: ..., mask: ...}" if single else "add 'mask' to each image"
            report.add(path, f"with these settings {needed} needs masks, and this image has none", hint)
        elif not mask and masked and "allowed" in wanted and "none" not in wanted:
            message = "other images have masks and this one has none, expected masks for all or for none"
            hint = "a colour, such as mask: '#ff0000', makes the whole image one region"
            report.add(path, message, hint)
    for index, content in enumerate(block.contents):
        if content.uri is None and content.video is None and (name := wanted.get("none") or wanted.get("allowed")):
            report.add(("contents", index), f"{name} needs a picture, and this content is a mask alone", "add 'uri'")


def _images(block: ManifestBlock) -> Iterator[tuple[Path, bool, str | None]]:
    """Yield the path of every image of the manifest, whether it is an entry of its list by itself, and its mask."""
    for index, content in enumerate(block.contents):
        yield ("contents", index), True, content.mask
    for index, style in enumerate(block.styles):
        for number, mask in enumerate(style.masks):
            inner: Path = ("images", number) if style.images else ()
            yield ("styles", index, *inner), not style.images, mask
