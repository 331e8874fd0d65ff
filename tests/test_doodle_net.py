"""Feed-forward doodles: masks drawn at random, a loss that is `doodle`'s, colours that are met, any mask painted."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from cells import RANDOM, picture, pictures_of, request, run, small, workspace

from nst.config.doodle import DoodleConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.training import DoodleNetTraining, TextureNetTraining
from nst.errors import InputError
from nst.networks import Origin, build_network, metadata_of, network_from
from nst.networks.doodle_net import DoodleNet
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels
from nst.training import Trainer
from nst.training.doodles import areas, draw_doodles, random_doodle
from nst.workspace import NetworkFile

RED, GREEN, BLUE = "#ff0000", "#00ff00", "#0000ff"
SHARES = np.array([0.5, 0.3, 0.15, 0.05])


def stripes(*colors, height=32, width=48):
    """Upright stripes of equal width."""
    regions = tuple(dict.fromkeys(colors))
    columns = np.array([regions.index(color) for color in colors], np.uint8)[np.arange(width) * len(colors) // width]
    return Labels("+".join(colors), regions, np.tile(columns, (height, 1)))


def painted(labels):
    return np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in labels.colors], np.uint8)[labels.index]


# ---- masks at random ----------------------------------------------------------------------------------------------
def test_doodles_follow_from_their_arguments_alone():
    first = random_doodle(SHARES, 40, 3)
    np.random.default_rng(3).random(5)
    assert np.array_equal(random_doodle(SHARES, 40, 3), first)
    assert not np.array_equal(random_doodle(SHARES, 40, 4), first)
    assert first.dtype == np.uint8
    assert not random_doodle(np.ones(1), 16, 0).any()


@pytest.mark.slow
def test_regions_take_about_their_shares():
    doodles = np.stack([random_doodle(SHARES, 48, seed) for seed in range(300)])
    taken = (doodles[..., None] == np.arange(4)).mean((1, 2))
    assert (taken.min(0) > 0).all()
    np.testing.assert_allclose(taken.mean(0), SHARES, rtol=0.15, atol=0.01)
    assert (taken.std(0) > 0.2 * SHARES).all()


@pytest.mark.slow
def test_forms_are_smooth_of_many_sizes_and_any_two_regions_meet():
    doodles = np.stack([random_doodle(np.ones(4), 64, seed) for seed in range(60)])
    border = (doodles[:, 1:] != doodles[:, :-1]).mean((1, 2))
    assert border.max() < 0.25  # of independent pixels 3 of 4 differ
    assert border.max() > 3 * border.min()
    pairs = {(int(a), int(b)) for a, b in zip(doodles[:, 1:].flat, doodles[:, :-1].flat, strict=True)}
    assert len(pairs) == 16


def test_drawn_doodles_have_the_colours_of_the_mask():
    mask = stripes(RED, BLUE)
    assert areas(mask).tolist() == [0.5, 0.5]
    (drawn,) = draw_doodles(mask, 24, [5])
    expected = random_doodle(areas(mask), 24, 5)
    assert np.array_equal(drawn, painted(replace(mask, index=expected)))


# ---- the network --------------------------------------------------------------------------------------------------
CONFIG = DoodleNetTraining(size=32, batch_size=2, scales=3, style_layers=["relu1_1", "relu2_1"], backbone=RANDOM)


def network(colors=(RED, BLUE)):
    torch.manual_seed(3)
    return build_network(CONFIG, Origin(colors=colors))


def test_it_is_a_texture_net_with_masks_for_a_photograph():
    settings = {"scales": 3, "norm": "instance", "padding": "reflect"}
    torch.manual_seed(3)
    plain = build_network(TextureNetTraining(mode="stylize", **settings))
    masked = network((RED, GREEN, BLUE))
    assert plain.state_dict().keys() == masked.state_dict().keys()
    masked.load_state_dict(plain.state_dict())
    masked.gain = 1.0
    guide = torch.rand(1, 3, 24, 32)
    assert torch.equal(plain(plain.draw(24, 32, [1]), guide), masked(masked.draw(24, 32, [1]), guide))


def test_a_masks_regions_are_met_by_the_nearest_colour():
    net = network((RED, BLUE))
    shares = net.regions(stripes(BLUE, "#e02020", BLUE), 12, 4)
    assert shares.shape == (2, 4, 12)
    assert np.array_equal(shares[0], np.tile([0] * 4 + [1] * 4 + [0] * 4, (4, 1)))
    assert np.array_equal(shares.sum(0), np.ones((4, 12)))
    with pytest.raises(InputError, match=r"#00ff00, the style's #ff0000, #0000ff: nothing for #00ff00"):
        net.match(stripes(RED, GREEN))


def test_its_file_knows_the_colours():
    made = network((GREEN, RED))
    metadata = metadata_of(CONFIG, ["style"], 1, made.colors)
    again = network_from(metadata, made.state_dict())
    assert isinstance(again, DoodleNet)
    assert again.colors == (GREEN, RED)
    assert "colors" not in metadata_of(TextureNetTraining(), [], 1)
    with pytest.raises(InputError, match="has shape"):
        network_from(metadata_of(CONFIG, ["style"], 1, (RED, GREEN, BLUE)), made.state_dict())


# ---- the lesson ---------------------------------------------------------------------------------------------------
STYLE, STYLE_MASK = picture(1), stripes(RED, BLUE, height=32, width=40)


def training(**changes):
    config = CONFIG.model_copy(update=changes)
    return Trainer(config, [STYLE], workspace(), masks=[STYLE_MASK])


@pytest.mark.slow
def test_its_loss_is_that_of_doodle():
    weights = {"style_weight": 3.0, "tv_weight": 5.0, "precision": "float64", "style_layers": CONFIG.style_layers}
    config = small(DoodleConfig, **weights, size=32, steps=3, pyramid={"levels": 1}, optimizer="adam")
    mask = stripes(BLUE, RED, BLUE, RED, height=32, width=32)
    (result,) = run(request(config, None, [STYLE], mask=mask, style_masks=[STYLE_MASK]))
    lesson = training(**weights).lesson
    lesson.network.double()
    image, doodle = (
        torch.from_numpy(array.copy()).permute(2, 0, 1)[None].double() / 255 for array in (result.image, painted(mask))
    )
    losses = lesson(doodle, [0], [0])[1](image)
    assert losses.total.item() == pytest.approx(result.losses.loss, rel=1e-9)


@pytest.mark.slow
def test_every_picture_of_a_batch_is_measured_by_its_own_mask():
    lesson = training(precision="float64").lesson
    lesson.network.double()
    outputs, objective = lesson(None, [0, 0], [7, 8])
    together = objective(outputs).total
    for number, seed in enumerate((7, 8)):
        alone, own = lesson(None, [0], [seed])
        torch.testing.assert_close(alone[0], outputs[number])
        torch.testing.assert_close(own(alone).total[0], together[number])


@pytest.mark.slow
def test_a_mask_that_lacks_a_region_has_a_finite_loss():
    lesson = training().lesson
    only_red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    outputs, objective = lesson(only_red, [0], [0])
    losses = objective(outputs)
    losses.total.sum().backward()
    assert losses.total.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in lesson.network.parameters() if parameter.requires_grad)


@pytest.mark.slow
def test_regions_learn_their_own_colours():
    halves = np.zeros((32, 40, 3), np.uint8)
    halves[:, :20], halves[:, 20:] = (230, 40, 30), (20, 60, 220)
    noisy = np.clip(halves + np.random.default_rng(0).normal(0, 20, halves.shape), 0, 255).astype(np.uint8)
    trainer = Trainer(CONFIG, [Pixels("halves", noisy)], workspace(), masks=[STYLE_MASK])
    for _ in range(60):
        trainer.step()
    mask = stripes(BLUE, RED, height=32, width=32)  # the other way round
    (image,) = trainer.validate([painted(mask)]).images
    left, right = image[:, 2:14].mean((0, 1)), image[:, 18:30].mean((0, 1))
    assert left[2] > left[0] + 60
    assert right[0] > right[2] + 60


@pytest.mark.slow
def test_a_training_without_the_mask_of_its_style_is_refused():
    with pytest.raises(InputError, match="doodle_net needs the mask of each style image; found 0"):
        Trainer(CONFIG, [STYLE], workspace())
    state = training().state()
    other = Trainer(CONFIG, [STYLE], workspace(), masks=[replace(STYLE_MASK, digest="another")])
    with pytest.raises(InputError, match="another training"):
        other.load_state(state)


# ---- painting -----------------------------------------------------------------------------------------------------
@cache
def model():
    painter = network()
    metadata = metadata_of(CONFIG, ["style"], 1, painter.colors)
    return NetworkFile("doodles", lambda: (metadata, painter.state_dict()))


def of(mask, content=None, **changes):
    config = FeedforwardConfig(**{"family": "doodle_net", "model": "some", "size": 48, **changes})
    return request(config, content, [], mask=mask, model=model())


def test_masks_are_painted_in_their_proportions_and_batches_equal_their_cells():
    requests = [
        of(stripes(RED, BLUE)),
        of(stripes(BLUE, RED, BLUE)),
        of(stripes(BLUE, height=40, width=20), seed=4),
        of(stripes(RED, BLUE), seed=9),
    ]
    together = pictures_of(*requests)
    assert [image.shape for image in together] == [(32, 48, 3), (32, 48, 3), (48, 24, 3), (32, 48, 3)]
    for one, image in zip(requests, together, strict=True):
        assert np.abs(pictures_of(one)[0] - image).max() <= 1
    assert np.abs(together[0] - together[1]).mean() > 1
    assert np.abs(together[0] - together[3]).mean() > 1


def test_of_a_picture_beside_the_mask_nothing_but_its_proportions_counts():
    mask = stripes(RED, BLUE, height=30, width=40)
    alone, beside, other, weak = pictures_of(
        of(mask), of(mask, picture(5, 36, 48)), of(mask, picture(6, 36, 48)),
        of(mask, picture(5, 36, 48), alpha=0.2, color="luminance"),
    )  # fmt: skip
    assert np.array_equal(alone, beside)
    assert np.array_equal(beside, other)
    assert np.array_equal(beside, weak)
    assert pictures_of(of(mask, picture(5, 24, 48)))[0].shape == (24, 48, 3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: of(None), "it paints masks, and the content has none"),
        (lambda: of(None, picture(5)), "it paints masks, and the content has none"),
        (lambda: of(stripes(RED, GREEN)), "model some: the content's mask has the regions #ff0000, #00ff00"),
        (lambda: of(stripes(RED), tile=16), "more than tile 16 allows"),
        (lambda: of(stripes(RED), family="johnson"), "needs a content image"),
        (
            lambda: of(stripes(RED), picture(5, 36, 48), family="johnson"),
            "is of family doodle_net; family says johnson",
        ),
        (lambda: of(stripes(RED), mode="texture"), "is for mode stylize; mode says texture"),
    ],
)
def test_what_cannot_be_painted_is_refused_alone(bad, message):
    good, refused = run(of(stripes(RED)), bad())
    assert good.error is None
    assert isinstance(refused.error, InputError)
    assert message in str(refused.error)
