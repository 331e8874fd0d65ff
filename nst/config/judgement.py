"""What judges say about a picture, and what identifies a judge: the columns, and nothing that computes them.

A judge is a network that looks at the finished picture, whatever method made it. Never imports torch: `nst.judges`
computes the values.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
"""Declared version of the judges' formulas, part of a judge's identity."""

SIDE: Final = 256
"""Largest short side in pixels at which pictures are judged; larger pictures are shrunk, smaller ones not enlarged."""

NEUTRAL: Final[dict[str, str]] = {
    "lpips_content": "LPIPS distance to the content image (Zhang 2018, SqueezeNet, version 0.1); 0 = identical, 0.7 = "
    "unrelated, lower = more content kept.",
    "content_kept": "How much nearer the picture is to the content image than the style image is, 1 - L(picture, "
    "content) / L(style, content), at least 0, with L the distance of unit features of SqueezeNet; 0..1, 1 = the "
    "content image itself; null where content and style are one image.",
    "gram_distance_style": "Distance of Gram matrices of SqueezeNet to the style's, relative to the style's energy, "
    "mean over relu1, fire3, fire5 and fire7; from 0, lower = more of the style.",
    "w2_distance_style": "Squared Wasserstein-2 distance of Gaussians of SqueezeNet's features to the style's, "
    "relative to the style's energy, mean over the same layers; from 0, lower = more of the style.",
    "style_gain": "How much nearer the picture is to the style than the content image is, 1 - W(picture, style) / "
    "W(content, style), at least 0, with W the `w2_distance_style`; 0..1, 1 = the style's statistics.",
    "transfer_score": "`style_gain` x `content_kept`; 0..1, 0 for the content image itself, near 0 for a copy of the "
    "style, blur and noise, higher = more of the style on more of the content; too high for colours alone.",
}
"""Columns of the neutral judge: SqueezeNet 1.1, through which pictures are not optimised unless a manifest says so."""

VGG: Final[dict[str, str]] = {
    "cfsd_content": "Content feature structural distance (Chung 2024, StyleID): KL divergence of self-similarities of "
    "VGG-19's relu3_1 between the content image and the picture; 0 = same structure, lower = more content kept.",
    "e_statistic": "Effectiveness of the style (Yeh 2020): 0.7468 E1 + 0.2557 E2 + 2.3768 E3, with Ek minus the log KL "
    "divergence of Gaussians of projected features of VGG-19's reluk_1, weights fitted to people's choices; higher = "
    "more of the style, at most 46.7.",
}
"""Columns of the judge through VGG-19, which is not neutral on pictures that were optimised through a VGG."""

JUDGEMENTS: Final[dict[str, str]] = NEUTRAL | VGG
"""Descriptions of all judgements by the names of their columns."""


@dataclass(frozen=True, slots=True)
class JudgeIdentity:
    """Which judge spoke: the digests of its weights, "" for weights that were not at hand.

    Attributes:
        squeezenet: SHA-256 of SqueezeNet's weights, or its beginning as torchvision's name of the file gives it.
        lpips: SHA-256 of the file of LPIPS's linear heads.
        vgg19: Likewise of VGG-19's weights, after the input that they expect.
    """

    squeezenet: str = ""
    lpips: str = ""
    vgg19: str = ""

    @property
    def digest(self) -> str:
        """The identity: 16 hexadecimal digits, of the weights, the side and the version of the formulas."""
        everything = [self.squeezenet, self.lpips, self.vgg19, SIDE, VERSION]
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]

    @property
    def columns(self) -> dict[str, str | int]:
        """The columns that say which judge spoke."""
        weights = {"squeezenet": self.squeezenet, "lpips": self.lpips, "vgg19": self.vgg19}
        shown = json.dumps({name: digest for name, digest in weights.items() if digest}, separators=(",", ":"))
        return {"judge": self.digest, "judge_weights": shown, "judge_size": SIDE}
