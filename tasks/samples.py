"""Samples to try nst with: free photographs, paintings made by nst's own code, and manifests that combine them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from nst.paintings import PAINTINGS
from nst.paintings.doodle import doodle
from nst.paintings.swirls import swirls_mask
from nst.pictures.images import decode, encode, resize
from nst.records import OutputFormat

LONG_SIDE: Final = 512

_PHOTOGRAPHS: Final = {
    "astronaut": ("astronaut.png", "Eileen Collins, astronaut. NASA Great Images; no known copyright restrictions."),
    "chelsea": ("chelsea.png", "Chelsea the cat. Stefan van der Walt; CC0."),
    "coffee": ("coffee.png", "A cup of coffee. Rachel Michetti; CC0."),
    "rocket": ("rocket.jpg", "Falcon 9 lifts off with DSCOVR. SpaceX; public domain."),
}
"""Name -> file within scikit-image's wheel (not of its download service), and its credit."""

_CLIP_FRAMES: Final = 12

_PAINTINGS: Final = {
    "swirls": "a night sky in thick curling strokes, after van Gogh",
    "points": "a river bank in dots, after Seurat",
    "glass": "a stained-glass window",
    "woodblock": "waves of a colour woodcut, after Hokusai",
    "watercolour": "washes of watercolour",
}


def write_samples(folder: str | Path) -> list[str]:
    """Write sample pictures, and the example manifests that use them, below a folder; needs no network.

    The pictures are `contents/*.jpg`, `clips/chelsea/*.jpg`, `styles/*.png` and `masks/*.png`, with their `CREDITS.md`;
    the manifests are `*.yaml`, one for each method and family of networks. The same version of nst writes the same
    bytes each time.

    Returns:
        The paths of the files written: contents, frames of the clip, styles, masks, manifests.
    """
    root = Path(folder)
    written: list[str] = []
    for name, (file, credit) in sorted(_PHOTOGRAPHS.items()):
        data = (resources.files("skimage.data") / file).read_bytes()
        picture = resize(decode(data), LONG_SIDE)
        path = root / "contents" / f"{name}.jpg"
        _write(path, encode(picture, OutputFormat("jpeg", 92), {"credit": credit}), written)
    for number in range(_CLIP_FRAMES):
        _write(root / "clips" / "chelsea" / f"{number:02}.jpg", _clip_frame(number), written)
    for name, subject in sorted(_PAINTINGS.items()):
        picture = PAINTINGS[name](LONG_SIDE, 0)
        path = root / "styles" / f"{name}.png"
        _write(
            path, encode(picture, OutputFormat("png"), {"credit": f"{subject}; painted by nst, seed 0; CC0"}), written
        )
    for name, mask in {"swirls": swirls_mask(LONG_SIDE, 0), "doodle": doodle(LONG_SIDE)}.items():
        _write(root / "masks" / f"{name}.png", encode(mask, OutputFormat("png"), {"credit": "nst; CC0"}), written)
    for manifest in sorted(_manifests().glob("*.yaml")):
        _write(root / manifest.name, manifest.read_bytes(), written)
    (root / "CREDITS.md").write_text(_credits(), encoding="utf-8")
    return written


def _clip_frame(number: int) -> bytes:
    """Return a frame of the sample clip, a JPEG: a window that moves over a photograph."""
    file, credit = _PHOTOGRAPHS["chelsea"]
    picture = decode((resources.files("skimage.data") / file).read_bytes())
    left, top = 40 + 6 * number, 30 + 2 * number
    return encode(picture[top : top + 192, left : left + 256], OutputFormat("jpeg", 92), {"credit": credit})


def _manifests() -> Path:
    """Return the folder of the example manifests: part of an installed package, or of the checkout."""
    installed = Path(__file__).parent / "manifests"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "manifests"


def _write(path: Path, data: bytes, written: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    written.append(str(path))


def _credits() -> str:
    photographs = "\n".join(f"- `contents/{n}.jpg`: {credit}" for n, (_, credit) in sorted(_PHOTOGRAPHS.items()))
    paintings = "\n".join(f"- `styles/{n}.png`: {subject}." for n, subject in sorted(_PAINTINGS.items()))
    return f"""# Where these pictures come from

Photographs, scaled to {LONG_SIDE} pixels, from the files that scikit-image carries:

{photographs}

Clip: `clips/chelsea/` is a window that moves over the same photograph.

Styles, painted by nst's own code (`nst.paintings`, seed 0), CC0:

{paintings}

Masks, CC0: `masks/swirls.png` tells sky, hills and cypress of `styles/swirls.png` apart; `masks/doodle.png` is a
landscape in the same colours that is still to be painted.
"""
