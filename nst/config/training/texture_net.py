"""Settings of Ulyanov et al. 2016 and 2017."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Weight
from nst.config.training.settings import DecayConfig, Filters, Training


class TextureNetTraining(Training):
    """Ulyanov et al. 2016 and 2017: a generator fed by noise at several scales, optionally with a photograph."""

    family: Literal["texture_net"] = "texture_net"

    mode: Literal["texture", "stylize"] = "texture"
    """`texture`: g(z), pictures from noise alone. `stylize`: g(z, c), the photograph given at every scale."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """4 for stylization and with the diversity term, 16 for textures in texture_nets."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 3000
    """1500 for textures, 3000 for stylization in texture_nets."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-2
    """1e-2 in the author's recipe for instance norm; 1e-1 for textures with batch norm."""

    decay: DecayConfig = DecayConfig(name="step", every=300)
    """Times 0.8 every 300 steps, for textures in texture_nets."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """relu4_2 of VGG-19 in texture_nets; of `stylize` only."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """These of VGG-19, equally, in texture_nets."""

    diversity_weight: Weight = 0.0
    """Weight of the diversity term: minus the mean log distance of an output to its nearest in the batch (Ulyanov et
    al. 2017, "Improved texture networks", eq. 7). `stylize` then takes each photograph twice, with other noise, and
    compares those two. Needs an even `batch_size`. Own trials with `stylize` (The Wave, 64 pixels, 800 steps): 0.3
    makes pictures of one photograph 2.6 times as far from each other at 0.98 times the style loss and 1.12 times the
    content loss; 0.5 2.9 times at 1.05 and 1.15. Textures with `circular` padding, where nothing but the
    noise tells places apart, are as different as independent pictures without it."""

    tv_weight: Weight = 0.0
    """None in texture_nets."""

    backbone: BackboneConfig = BackboneConfig(name="vgg19")
    """VGG-19 in texture_nets."""

    scales: Annotated[int, Field(ge=1, le=8)] = 6
    """Sizes of the noise pyramid, each half the next; 6 for textures of 256 px in Ulyanov et al. 2016 section 3.2."""

    width: Filters = 8
    """Filters that each scale adds; 8 in Ulyanov et al. 2016 section 3.2."""

    norm: Literal["instance", "batch"] = "instance"
    """`instance` in the author's later code, `batch` in Ulyanov et al. 2016."""

    padding: Literal["circular", "reflect", "zeros"] = "circular"
    """Of every convolution; `circular` in Ulyanov et al. 2016 section 3.2, which makes textures that tile."""

    @property
    def photographs(self) -> bool:
        """Only where it stylizes."""
        return self.mode == "stylize"

    @property
    def views(self) -> int:
        """How often each photograph is in a step."""
        return 2 if self.photographs and self.diversity_weight else 1

    def fault(self, *, has_parent: bool) -> str:
        """Return an error where pictures that are compared in pairs are odd in number."""
        del has_parent
        odd = self.diversity_weight and self.batch_size % 2
        return f"diversity_weight needs an even batch_size; found {self.batch_size}" if odd else ""
