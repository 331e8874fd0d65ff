"""What planning can see in the images of a sweep: broken ones, too small ones, masks that do not fit. Never torch.

What the manifest names by itself is a mistake of the manifest, which is refused at its place. What lies in a folder or
matches a glob costs its own cells alone, and planning says how many there are.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.config.method import PixelMethod
from nst.errors import InputError
from nst.pictures.fitting import levels_of, size_after, too_thin
from nst.pictures.masks import Labels, match_regions
from nst.planning.layers import measured_layers
from tasks.planning.inputs import InputFaults
from tasks.store.opening import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nst.config.method import Method
    from nst.planning.cells import Cells
    from nst.records import ImageRef, MaskRef, StyleRef
    from nst.yaml.positions import Path, Where
    from tasks.inputs.images import FoundImage

_STRETCH: Final = 1.03
"""Ratio of the proportions of a mask and its image from which on planning says so; rounding makes less."""


def check_seen(images: Mapping[str, Sequence[tuple[FoundImage, ImageRef]]], faults: InputFaults) -> tuple[str, ...]:
    """Note faults of images and masks that planning has seen, and return what costs some cells or less, for people.

    Args:
        images: By what they are to the sweep, the images as the manifest names them, each with its record.
        faults: Receives the faults of what the manifest names by itself.
    """
    notes = []
    for what, pairs in images.items():
        broken = []
        for found, ref in pairs:
            if ref.mask and ref.mask.fault and locate(ref.mask.uri).is_local:
                faults.add((*found.place, "mask"), ref.mask.fault)
            if ref.fault and found.alone and locate(ref.uri).is_local:
                faults.add((*found.place, "uri"), ref.fault)
            elif ref.fault:
                broken.append(ref.fault)
        if broken:
            notes.append(_counted(len(broken), len(pairs), what, f"cannot be used:{_listed(broken)}"))
        stretched = [ref for _, ref in pairs if _is_stretched(ref)]
        if stretched:
            notes.append(
                _counted(len(stretched), len(pairs), what, f"have masks that are stretched: {_sizes(stretched[0])}")
            )
    return tuple(notes)


def check_fitting(
    cells: Cells, content_places: Sequence[Path], style_places: Sequence[Path], positions: Where
) -> tuple[str, ...]:
    """Refuse images that are too small for the layers of their cells and masks whose regions do not match.

    Args:
        cells: The cells.
        content_places: Where the manifest names each content by itself; () for one of several.
        style_places: The same for each style.
        positions: Where the manifest's keys and values stand.

    Returns:
        What costs some cells alone, for people.

    Raises:
        ManifestError: With every fault of what the manifest names by itself.
    """
    configs = {number: cells.structure_config(number) for number in range(len(cells.variants.first))}
    small = {
        **{("contents", *key): fault for key, fault in _small_contents(cells.contents, configs)},
        **{("styles", *key): fault for key, fault in _small_styles(cells.styles, configs)},
    }
    apart = dict(_unmatched(cells.contents, cells.styles)) if any(map(_matches_masks, configs.values())) else {}
    if not small and not apart:
        return ()
    faults, left = InputFaults(positions), dict[tuple[str, int], InputError]()
    for content, style, structure in _used(cells):
        for key, index, places in (("contents", content, content_places), ("styles", style, style_places)):
            if not (error := small.get((key, index, structure))):
                continue
            if places[index]:
                faults.add(places[index], error.message, error.hint)
            else:
                left[key, index] = error
        if (error := apart.get((content, style))) and _matches_masks(configs[structure]):
            faults.add(
                (*(style_places[style] or content_places[content] or ("styles",)), "mask"), error.message, error.hint
            )
    faults.raise_any()
    return tuple(
        _counted(len(found), len(images), key, f"are too small:{_listed(found)}")
        for key, images in (("contents", cells.contents), ("styles", cells.styles))
        if (found := [error.message for (where, _), error in left.items() if where == key])
    )


def _small_contents(
    contents: Sequence[ImageRef | None], configs: Mapping[int, Method]
) -> Iterable[tuple[tuple[int, int], InputError]]:
    """Yield (number of the content, number of the structure) of what is too small, or too large, with the reason."""

    @cache
    def fault(size: tuple[int, int], structure: int) -> InputError | None:
        config = configs[structure]
        try:
            picture = size_after(config, *size)
        except InputError as error:
            return error
        if not isinstance(config, PixelMethod):
            return None
        coarsest = levels_of(config, *picture)[0][:2]
        layers = measured_layers(config, config.backbone.name)
        return too_thin("content", coarsest, layers, config.backbone, patch=config.least_positions)

    for number, content in enumerate(contents):
        size = content and (content.size or (content.mask and content.mask.size))
        if content is None or size is None:
            continue
        for structure, config in configs.items():
            if not config.canvas and (error := fault(size, structure)):
                yield (number, structure), _named(content, error)


def _small_styles(
    styles: Sequence[StyleRef | None], configs: Mapping[int, Method]
) -> Iterable[tuple[tuple[int, int], InputError]]:
    """Yield as `_small_contents` of the styles of methods whose style images follow the picture's long side."""
    for structure, config in configs.items():
        scale = getattr(config, "style_scale", None)
        if not isinstance(config, PixelMethod) or scale is None or config.canvas:
            continue
        if config.takes_original_size or config.resize == "short":
            continue
        layers = measured_layers(config, config.backbone.name) & set(getattr(config, "style_layers", ()))
        long_side = levels_of(config, int(config.size), int(config.size))[0][0] * scale
        for number, style in enumerate(styles):
            scales = (style.scales or (1.0,) * len(style.images)) if style else ()
            for image, own in zip(style.images if style else (), scales, strict=True):
                if image.size is None or not layers:
                    continue
                width, height = (max(1, round(side * long_side * own / max(image.size))) for side in image.size)
                patch = config.least_positions
                if error := too_thin("style", (width, height), layers, config.backbone, patch=patch):
                    yield (number, structure), _named(image, error)


def _unmatched(
    contents: Sequence[ImageRef | None], styles: Sequence[StyleRef | None]
) -> Iterable[tuple[tuple[int, int], InputError]]:
    """Yield (number of the content, number of the style) of masks whose regions do not match, with the reason."""

    @cache
    def fault(content: MaskRef, masks: tuple[MaskRef, ...]) -> InputError | None:
        try:
            match_regions(_labels(content), [_labels(mask) for mask in masks])
        except InputError as error:
            return error
        return None

    masks_of = [tuple(image.mask for image in style.images if image.mask) if style else () for style in styles]
    for number, content in enumerate(contents):
        if content is None or content.mask is None or not content.mask.colors:
            continue
        for other, (style, masks) in enumerate(zip(styles, masks_of, strict=True)):
            seen = style and len(masks) == len(style.images) and all(mask.colors for mask in masks)
            if style and seen and (error := fault(content.mask, masks)):
                text = f"content {content.name!r}, style {style.name!r}: {error.message}"
                yield (number, other), InputError(text, hint=error.hint)


def _used(cells: Cells) -> set[tuple[int, int, int]]:
    """Return (content, style, structure) of all cells."""
    structure = cells.variants.structure
    return {(content, style, structure[variant]) for content, style, variant in map(cells.indices, range(len(cells)))}


def _matches_masks(config: Method) -> bool:
    return isinstance(config, PixelMethod) and config.masks in {"allowed", "needed"}


def _labels(mask: MaskRef) -> Labels:
    return Labels(mask.digest, mask.colors, np.zeros((1, 1), np.uint8))


def _is_stretched(ref: ImageRef) -> bool:
    if not (ref.size and ref.mask and ref.mask.size):
        return False
    one, other = ref.size[0] * ref.mask.size[1], ref.size[1] * ref.mask.size[0]
    return max(one, other) > _STRETCH * min(one, other)


def _sizes(ref: ImageRef) -> str:
    assert ref.size
    assert ref.mask
    assert ref.mask.size
    (width, height), (columns, rows) = ref.size, ref.mask.size
    return f"{ref.name} is {width} x {height} pixels, its mask {columns} x {rows}"


def _named(image: ImageRef, error: InputError) -> InputError:
    return InputError(f"{image.name}: {error.message}", hint=error.hint)


def _listed(faults: Sequence[str]) -> str:
    """Return all of some faults, each in a line of its own where there are several."""
    return "".join(f"\n  {fault}" for fault in faults) if len(faults) > 1 else f" {faults[0]}"


def _counted(count: int, total: int, what: str, text: str) -> str:
    return f"{count:,} of {total:,} {what} {text}"
