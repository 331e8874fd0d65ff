"""Images, manifests and cells of sweeps that are planned and never run."""

from __future__ import annotations

from nst.manifest.sweep import parse_manifest
from nst.planning.cells import expand
from nst.records import ImageRef, StyleRef


def image(name, digest=None):
    return ImageRef(name, f"{name}.jpg", digest or (name.encode().hex() * 64)[:64])


def contents(*names):
    return [image(name) for name in names]


def styles(*names):
    return [StyleRef(name, (image(name),), (1.0,)) for name in names]


def manifest(sweep="{}", method="{name: gatys, size: 256, noise: 0.1}", extra=""):
    return parse_manifest(f"name: x\ncontents: a\nstyles: b\nmethod: {method}\nsweep: {sweep}\n{extra}", "x.yaml")


def cells_of(parsed, c=("cat", "dog"), s=("wave", "swan", "iris")):
    return expand(parsed, contents(*c), styles(*s), dict.fromkeys(parsed.backbones(), "w"))
