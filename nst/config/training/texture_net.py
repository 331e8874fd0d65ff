"""Settings of the family `texture_net` (Ulyanov et al. 2016 and 2017), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, SteadyWeight, Weight
from nst.config.training.settings import DecayConfig, Filters, Training


class TextureNetTraining(Training):
    """Textures or one style from noise at several scales (Ulyanov et al. 2016, 2017; DmitryUlyanov/texture_nets)."""

    VERSION: ClassVar[int] = Training.VERSION + 1
    ADDED_LATER: ClassVar[frozenset[str]] = Training.ADDED_LATER | {"temperature"}

    family: Literal["texture_net"] = "texture_net"

    mode: Literal["texture", "stylize"] = "texture"
    """What the network makes. `texture`: pictures g(z) from noise z alone. `stylize`: pictures g(z, c) of photographs
    c, which it is given at every scale."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Number of pictures in a step (4 for stylization and with the diversity term, 16 for textures in texture_nets)."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 3000
    """Number of steps of Adam (1500 for textures, 3000 for stylization in texture_nets)."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-2
    """Learning rate of Adam (1e-2 in the author's recipe with instance norm, 1e-1 for textures with batch norm)."""

    decay: DecayConfig = DecayConfig(name="step", every=300)
    """How the learning rate falls (times 0.8 every 300 steps for textures in texture_nets)."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights (relu4_2 of VGG-19 in texture_nets). Without effect with `mode:
    texture`."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """Layers of the style loss with their weights (these five of VGG-19, equally, in texture_nets)."""

    temperature: Weight = 0.0
    """Temperature T of the distribution p(x) = exp(-L(x) / T) / Z that the network learns to sample, L the weighted sum
    of all losses (Ulyanov et al. 2017, "Improved texture networks", eq. 4 to 7). It minimises T KL(q || p), the mean of
    L minus T times the entropy of its pictures, which is estimated by (D / N) sum_i log r_i, with D = 3 x `size`^2
    values and r_i the distance of picture i to its nearest neighbour. At 0 the entropy plays no part, and that is the
    default by the curve in `tests/benchmarks/REPORT.md`: textures are as different without it; with `mode: stylize` and
    T D of 0.3 the two pictures of a photograph are four times as distant, at 1.1 times the style loss, but by large
    bright and dark areas that hide the photograph, and at 1 nothing of it is left. Start at 0.1 / D."""

    diversity_weight: Weight = 0.0
    """The number T x D, `temperature` times the number of values, for those who would rather name a weight that means
    the same at every `size`: that of minus the mean log distance of an output to its nearest neighbour in the batch.
    Name one of the two. Either needs an even `batch_size`: with `mode: stylize` each photograph is then in the batch
    twice, with different noise, and only the two pictures of one photograph are compared."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the output in [0, 1]. texture_nets has no such term."""

    temporal_weight: SteadyWeight = 0.0

    backbone: BackboneConfig = BackboneConfig(name="vgg19")
    """Backbone that measures the pictures (VGG-19 in texture_nets)."""

    scales: Annotated[int, Field(ge=1, le=8)] = 6
    """Number of sizes in the pyramid of noise, each half of the next (6, for textures of 256 pixels, in Ulyanov et al.
    2016 section 3.2)."""

    width: Filters = 8
    """Number of filters that each scale adds (8 in Ulyanov et al. 2016 section 3.2)."""

    norm: Literal["instance", "batch"] = "instance"
    """Norm after each convolution (`instance` in the author's later code, `batch` in Ulyanov et al. 2016)."""

    padding: Literal["circular", "reflect", "zeros"] = "circular"
    """Padding of every convolution (`circular`, which makes textures that tile, in Ulyanov et al. 2016 section 3.2)."""

    @model_validator(mode="after")
    def _one_weight_of_the_entropy(self) -> Self:
        if self.temperature and self.diversity_weight:
            raise ValueError("temperature and diversity_weight say the same twice; remove one of them")
        return self

    @property
    def entropy_weight(self) -> float:
        """Weight of minus the mean log distance of a picture to its nearest neighbour: the temperature times D."""
        return self.diversity_weight or self.temperature * 3 * self.size**2

    @property
    def photographs(self) -> bool:
        """Whether the network learns from photographs: only with `mode: stylize`."""
        return self.mode == "stylize"

    @property
    def views(self) -> int:
        """How often each photograph is in the batch of one step."""
        return 2 if self.photographs and self.entropy_weight else 1

    def fault(self, *, has_parent: bool) -> str:
        """Return an error where the diversity term compares pictures in pairs and their number is odd, else ""."""
        del has_parent
        odd = self.entropy_weight and self.batch_size % 2
        word = "diversity_weight" if self.diversity_weight else "temperature"
        return f"{word} needs an even batch_size; found {self.batch_size}" if odd else ""
