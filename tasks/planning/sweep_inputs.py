"""The inputs of a sweep: contents, styles, starts and weights, found, identified and looked at. Never torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nst.config.video import MotionBlock
from nst.records import StyleRef
from tasks.clips.extra import check_extra
from tasks.inputs.flow_files import flow_file
from tasks.inputs.images import FoundImage, find_image, find_images, find_mask, image_refs, stem, unique
from tasks.planning.clips import find_clip, identify_clip
from tasks.planning.fitting import check_seen
from tasks.planning.inputs import InputFaults, identify_weights
from tasks.store import Stat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.config.start import StartPicture
    from nst.manifest.blocks import ContentSpec, StyleSpec
    from nst.manifest.sweep import Manifest
    from nst.records import ImageRef
    from nst.yaml.positions import Path
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests
    from tasks.inputs.weights import WeightsRef
    from tasks.store import Store


@dataclass(frozen=True, slots=True)
class SweepInputs:
    """The inputs of a manifest, found and identified.

    Attributes:
        contents: The contents, stills and clips.
        styles: The styles.
        weights: Weights of the backbones.
        starts: The pictures that optimisations start from where the settings name one.
        content_places: Where the manifest names each content by itself; () for one of several.
        style_places: The same for each style.
        notes: What is odd about the images and costs some cells or less, for people.
    """

    contents: list[ImageRef]
    styles: list[StyleRef]
    weights: Mapping[BackboneConfig, WeightsRef]
    starts: Mapping[StartPicture, ImageRef]
    content_places: list[Path]
    style_places: list[Path]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _FoundStyle:
    """A style before its images are read: one image, or several in a mix."""

    name: str
    images: list[FoundImage]
    spec: StyleSpec

    @property
    def place(self) -> Path:
        """Where the manifest names it by itself; () if it is one of those in a folder or of a glob."""
        first = self.images[0]
        return first.place[:2] if first.alone else ()


def find_inputs(manifest: Manifest, base: BaseUri, digests: Digests, store: Store) -> SweepInputs:
    """Find and identify every input.

    Raises:
        ManifestError: With every fault, each where the manifest names the input.
    """
    faults = InputFaults(manifest.positions)
    contents: list[FoundImage | ImageRef] = []  # a clip has its record at once
    content_places: list[Path] = []
    for index, content in enumerate(manifest.contents):
        with faults.at("contents", index):
            if content.video is not None:
                check_extra()
                contents.append(identify_clip(find_clip(content, base), digests, store, manifest.clip_format))
                content_places.append(("contents", index))
                continue
            mask = find_mask(content.mask, base)
            stats = [None] if content.uri is None else find_images(content.uri, base)
            stills = list(_named(content, stats, mask, ("contents", index), base))
            contents += stills
            content_places += [found.place if found.alone else () for found in stills]
    styles: list[_FoundStyle] = []
    for index, style in enumerate(manifest.styles):
        with faults.at("styles", index):
            styles += _find_styles(style, base, ("styles", index))
    weights = identify_weights(manifest.users(), base, digests, faults, store)
    starts: dict[StartPicture, FoundImage] = {}
    for start, path in manifest.start_pictures().items():
        with faults.at(*path, "uri"):
            stat = find_image(start.uri, base, "to start from")
            starts[start] = FoundImage(stem(stat.key), stat, None, path, alone=True)
    if any(content.video is not None for content in manifest.contents):
        for config, path in manifest.users():
            with faults.at(*path, "video", "flow"):
                flow_file((config.motion or MotionBlock()).flow)
    faults.raise_any()
    content_refs, style_refs = _content_refs(contents, digests), list(_style_refs(styles, digests))
    start_refs = dict(zip(starts, image_refs(list(starts.values()), digests), strict=True))
    style_images = [
        (found, ref)
        for style, one in zip(styles, style_refs, strict=True)
        for found, ref in zip(style.images, one.images, strict=True)
    ]
    notes = check_seen(
        {
            "contents": [
                (found, ref) for found, ref in zip(contents, content_refs, strict=True) if isinstance(found, FoundImage)
            ],
            "style images": style_images,
            "starts": list(zip(starts.values(), start_refs.values(), strict=True)),
        },
        faults,
    )
    faults.raise_any()
    return SweepInputs(
        content_refs,
        style_refs,
        weights,
        start_refs,
        content_places,
        [style.place for style in styles],
        notes,
    )


def _content_refs(contents: Sequence[FoundImage | ImageRef], digests: Digests) -> list[ImageRef]:
    """Return the contents in order, stills with their digests, under unique names."""
    stills = iter(image_refs([content for content in contents if isinstance(content, FoundImage)], digests))
    refs = [next(stills) if isinstance(content, FoundImage) else content for content in contents]
    return [replace(ref, name=name) for ref, name in zip(refs, unique([ref.name for ref in refs]), strict=True)]


def _named(
    spec: ContentSpec | StyleSpec, stats: Sequence[Stat | None], mask: Stat | str | None, place: Path, base: BaseUri
) -> Iterator[FoundImage]:
    """Yield each image under its spec's name, numbered if there are several, or its file's stem (or its mask's)."""
    for number, stat in enumerate(stats, start=1):
        file = stat or mask
        name = stem(file.key) if isinstance(file, Stat) else "image"
        if spec.name:
            name = spec.name if len(stats) == 1 else f"{spec.name}-{number}"
        alone = stat is None or (spec.uri is not None and stat.key == base.join(spec.uri))
        yield FoundImage(name, stat, mask, place, alone)


def _find_styles(spec: StyleSpec, base: BaseUri, place: Path) -> Iterator[_FoundStyle]:
    if spec.uri is not None:
        mask = find_mask(spec.mask, base)
        for image in _named(spec, find_images(spec.uri, base), mask, place, base):
            yield _FoundStyle(image.name, [image], spec)
        return
    assert spec.images is not None
    images = []
    for number, image_spec in enumerate(spec.images):
        stat, mask = find_image(image_spec.uri, base, "in a mix"), find_mask(image_spec.mask, base)
        images.append(FoundImage(stem(stat.key), stat, mask, (*place, "images", number), alone=True))
    yield _FoundStyle(spec.name or "+".join(image.name for image in images), images, spec)


def _style_refs(styles: Sequence[_FoundStyle], digests: Digests) -> Iterator[StyleRef]:
    names = unique([style.name for style in styles])
    for name, style in zip(names, styles, strict=True):
        weights = [image.weight for image in style.spec.images] if style.spec.images else [1.0]
        whole = 1.0 if style.spec.mix == "sum" else sum(weights)
        shares = tuple(weight / whole for weight in weights)
        scales = style.spec.scales if set(style.spec.scales) != {1.0} else ()
        yield StyleRef(name, tuple(image_refs(style.images, digests)), shares, style.spec.mix, scales)
