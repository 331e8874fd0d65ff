"""Training against closed forms, other code, and itself: it learns, resumes bit for bit, and stops when it must."""

import numpy as np
import pytest
import torch
from cells import LAYERS, RANDOM, blocks, farthest, picture, request, run, small, workspace

from nst.config.feedforward import FeedforwardConfig
from nst.config.gatys import GatysConfig
from nst.config.training import (
    TRAINING_CONFIGS,
    AdainTraining,
    ConditionalTraining,
    DecayConfig,
    DoodleNetTraining,
    JohnsonTraining,
    MganTraining,
    StudentTraining,
    SuperResolutionTraining,
    TextureNetTraining,
)
from nst.errors import InputError, UserError
from nst.networks import network_from
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels
from nst.training import Trainer, Unhealthy
from nst.training.sampler import Sampler
from nst.training.trainer import learning_rate
from nst.workspace import NetworkFile

COMMON = {
    "size": 24, "batch_size": 2, "steps": 100, "learning_rate": 1e-2, "backbone": RANDOM,
    "style_layers": ["relu1_1", "relu2_1"],
}  # fmt: skip
WITHOUT_STYLE = {**{key: COMMON[key] for key in COMMON if key != "style_layers"}, "content_layers": ["relu2_1"]}
PERCEPTUAL = {**COMMON, "content_layers": ["relu2_1"]}
TINY = {"width": 4, "residual_blocks": 1}
FAMILIES = {
    "johnson": (JohnsonTraining(**PERCEPTUAL, **TINY), 1),
    "conditional": (ConditionalTraining(**PERCEPTUAL, **TINY), 3),
    "texture": (TextureNetTraining(**PERCEPTUAL, scales=3, diversity_weight=0.1), 1),
    "stylize": (TextureNetTraining(**PERCEPTUAL, scales=3, mode="stylize", diversity_weight=0.1), 1),
    "adain": (AdainTraining(**COMMON, layer="relu2_1"), 3),
    "mgan": (MganTraining(**COMMON, layer="relu2_1", style_scale=2.0), 1),
    "two_stages": (
        MganTraining(
            **COMMON, layer="relu2_1", style_scale=2.0, deconvolution={"steps": 2}, content_weight=10, style_weight=0.01
        ),
        1,
    ),
    "doodle_net": (DoodleNetTraining(**COMMON, scales=3), 1),
    "super_resolution": (SuperResolutionTraining(**{**WITHOUT_STYLE, "factor": 2}, width=8, residual_blocks=0), 0),
    "student": (StudentTraining(**{**PERCEPTUAL, "learning_rate": 3e-3}, filters=(4, 4, 4), crops=4), 3),
}


PHOTOGRAPHS = np.stack([blocks(seed, 48, 48) for seed in range(6)])
MASK = Labels("mask", ("#ff0000", "#0000ff"), np.indices((4, 4)).sum(0).astype(np.uint8) % 2)
STYLES = [picture(seed, 40, 40) for seed in (100, 101, 102)]


def trainer(name_or_config, styles=None, **arguments):
    config, count = FAMILIES[name_or_config] if isinstance(name_or_config, str) else (name_or_config, 1)
    masks = [MASK] if config.masks else []
    return Trainer(config, styles or STYLES[:count], workspace(), PHOTOGRAPHS, masks=masks, **arguments)


def losses(training):
    """Return the sum of the losses of the first five batches with the weights of now."""
    found = []
    for batch in map(training.sampler.batch, range(5)):
        photographs = None if batch.photographs is None else training.lesson.tensor(batch.photographs)
        outputs, objective = training.lesson(photographs, batch.styles, batch.seeds)
        found.append(objective(outputs).total.mean().item())
    return sum(found)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns(family):
    training = trainer(family)
    training.lesson.begin(training.sampler)  # as the first step does
    before = losses(training)
    for _ in range(18):
        training.step()
    most = 0.9 if family == "mgan" else 0.8  # its loss is a critic's, who learns meanwhile
    assert losses(training) < most * before
    assert training.steps_done == 18
    validation = training.validate([PHOTOGRAPHS[0][:40], PHOTOGRAPHS[1]])
    assert [image.dtype for image in validation.images] == [np.uint8] * 2
    assert validation.images[0].shape == ((24, 24, 3) if family == "texture" else (40, 48, 3))
    parts = sum(validation.losses[f"{part}_loss"] for part in ("content", "style", "tv"))
    assert validation.losses["loss"] == pytest.approx(parts, rel=1e-5)


def test_the_first_steps_at_the_published_learning_rate_do_not_saturate():
    # Without GAIN a fifth of all values is black or white after one step, and spots stay.
    config = JohnsonTraining(**{**PERCEPTUAL, "learning_rate": 1e-3}, residual_blocks=1)
    training = trainer(config)
    for _ in range(3):
        training.step()
        (image,) = training.validate(PHOTOGRAPHS[:1]).images
        assert ((image > 2) & (image < 253)).all()


@pytest.mark.slow
def test_bfloat16_learns_nearly_the_same():
    config = FAMILIES["johnson"][0]
    kinds = ({"precision": kind, "learning_rate": 1e-3} for kind in ("float64", "bfloat16"))
    exact, rough = (trainer(config.model_copy(update=kind)) for kind in kinds)
    wanted, found = (learner.step().loss for learner in (exact, rough))
    assert 0 < abs(found / wanted - 1) < 0.01  # 8 bits of fraction are exact to 0.4 %
    losses = [rough.step().loss for _ in range(5)]
    assert losses[-1] < found
    assert all(tensor.dtype == torch.float32 for tensor in rough.weights()[0].values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_a_resumed_training_goes_on_bit_for_bit(family):
    whole = trainer(family)
    for _ in range(2):
        whole.step()
    state = {key: tensor.clone() for key, tensor in whole.state().items()}
    torch.rand(7)  # the global generator plays no part
    resumed = trainer(family)
    resumed.load_state(state)
    assert [whole.step() for _ in range(2)] == [resumed.step() for _ in range(2)]
    ours, theirs = whole.state(), resumed.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_checkpoints_of_other_trainings_and_torn_ones_are_refused():
    training = trainer("johnson")
    training.step()
    state = training.state()
    with pytest.raises(InputError, match="another training"):
        trainer(FAMILIES["johnson"][0].model_copy(update={"style_weight": 3.0})).load_state(state)
    with pytest.raises(InputError, match="another training"):
        trainer("johnson", styles=STYLES[1:2]).load_state(state)
    trainer(FAMILIES["johnson"][0].model_copy(update={"checkpoint_every": 7})).load_state(state)
    with pytest.raises(InputError, match="cannot be read"):
        trainer("johnson").load_state({key: value for key, value in state.items() if key != "steps"})


def test_weights_of_losses_mean_what_they_mean_in_gatys():
    weights = {"content_weight": 2.0, "style_weight": 3.0, "tv_weight": 5.0, "precision": "float64"}
    content = Pixels("content", PHOTOGRAPHS[0][:24, :24])
    (result,) = run(request(small(GatysConfig, **LAYERS, **weights, size=24, steps=3), content, STYLES[:1]))
    lesson = trainer(JohnsonTraining(**PERCEPTUAL, **TINY).model_copy(update=weights)).lesson
    image, photograph = (
        torch.from_numpy(array.copy()).permute(2, 0, 1)[None].double() / 255 for array in (result.image, content.array)
    )
    lesson.network.double()
    losses = lesson(photograph, [0], [0])[1](image)
    assert losses.total.item() == pytest.approx(result.losses.loss, rel=1e-9)


@pytest.mark.slow
def test_the_diversity_term_pushes_samples_apart():
    config = FAMILIES["texture"][0]
    spread = {}
    for weight in (0.0, 10.0):
        training = trainer(config.model_copy(update={"diversity_weight": weight}))
        for _ in range(20):
            training.step()
        first, second = (image / 255.0 for image in training.validate(PHOTOGRAPHS[:2]).images)
        spread[weight] = np.sqrt(np.square(first - second).mean())
    assert spread[10.0] > 1.2 * spread[0.0]


def test_learning_rates_fall_as_their_sources_say():
    def rate(step, warmup=0, **decay):
        return learning_rate(JohnsonTraining(learning_rate=1.0, warmup=warmup, decay=decay), step)

    assert rate(10_000, name="constant") == 1.0
    assert rate(299, name="step", every=300) == 1.0
    assert rate(900, name="step", every=300) == pytest.approx(0.8**3)
    assert rate(20_000, name="inverse") == pytest.approx(0.5)  # 1 / (1 + 5e-5 * 20,000)
    assert [rate(step, 4, name="constant") for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40_000)
    for step in range(3):
        assert rate(step, name="cosine") == pytest.approx(cosine.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        cosine.step()
    assert rate(30_000, name="cosine") == pytest.approx(0.5 - 0.5**1.5, rel=1e-12)
    training = trainer(FAMILIES["johnson"][0].model_copy(update={"decay": DecayConfig(name="step", every=1)}))
    assert [training.step().learning_rate for _ in range(2)] == pytest.approx([1e-2, 0.8 * 1e-2])


def test_every_photograph_is_seen_once_an_epoch_wherever_one_begins():
    marked = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 5, 6, 3), np.uint8)

    def fresh():
        return Sampler(marked, size=4, batch_size=3, styles=2, seed=1)

    sampler = fresh()
    seen = [int(square[0, 0, 0]) for step in range(14) for square in sampler.batch(step).photographs]
    for epoch in range(6):
        assert sorted(seen[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert seen[:7] != seen[7:14]
    assert np.array_equal(fresh().batch(9).photographs, sampler.batch(9).photographs)
    assert fresh().batch(9).seeds == sampler.batch(9).seeds != sampler.batch(8).seeds
    twice = Sampler(marked, size=4, batch_size=4, styles=1, seed=1, views=2).batch(0)
    first, again, second, _ = (int(square[0, 0, 0]) for square in twice.photographs)
    assert first == again == seen[0] != second == seen[1]
    assert len(set(twice.seeds)) == 4
    places = np.zeros((1, 5, 6, 3), np.uint8)
    places[0] = np.arange(30).reshape(5, 6, 1)
    corners = {
        int(Sampler(places, size=4, batch_size=1, styles=1, seed=0).batch(s).photographs[0, 0, 0, 0]) for s in range(60)
    }
    assert corners == {0, 1, 2, 6, 7, 8}


def test_photographs_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="6 x 5 pixels; size 8"):
        Sampler(np.zeros((1, 5, 6, 3), np.uint8), size=8, batch_size=1, styles=1, seed=0)
    with pytest.raises(InputError, match="expected uint8"):
        Sampler(np.zeros((1, 5, 6, 3)), size=4, batch_size=1, styles=1, seed=0)
    with pytest.raises(InputError, match="no photographs"):
        Sampler(np.zeros((0, 5, 6, 3), np.uint8), size=4, batch_size=1, styles=1, seed=0)
    with pytest.raises(UserError, match="learns from 1 style image; found 3"):
        trainer("johnson", styles=STYLES)
    with pytest.raises(UserError, match="even batch_size; found 3"):
        trainer(FAMILIES["texture"][0].model_copy(update={"batch_size": 3}))


def test_a_training_whose_loss_is_not_finite_stops_with_its_last_good_weights():
    training = trainer("johnson")
    training.step()
    before = training.weights()[0]
    training.config = training.config.model_copy(update={"style_weight": float("inf")})
    training.lesson.config = training.config
    with pytest.raises(Unhealthy, match="step 2: the loss is not finite") as caught:
        training.step()
    assert caught.value.evidence.shape == (24, 24, 3)
    assert all(torch.equal(before[key], tensor) for key, tensor in training.weights()[0].items())


@pytest.mark.parametrize(("bias", "reason"), [(-50.0, "black"), (50.0, "constant")])
def test_black_and_constant_pictures_stop_a_training(bias, reason):
    training = trainer("johnson")
    with torch.no_grad():
        training.network.last.conv.weight.zero_()
        training.network.last.conv.bias.fill_(bias)
    with pytest.raises(Unhealthy, match=f"step 1: its pictures are {reason}"):
        training.step()


def test_a_style_is_added_to_a_trained_network_without_touching_the_others():
    first = trainer("conditional", styles=STYLES[:2])
    first.step()
    tensors, metadata = first.weights()
    parent = NetworkFile("parent", lambda: (metadata, tensors))
    config = FAMILIES["conditional"][0].model_copy(update={"only_rows": True})
    second = trainer(config, styles=STYLES[2:], parent=parent)
    for _ in range(3):
        second.step()
    learned, about = second.weights()
    network = network_from(about, learned)
    assert network.styles == tuple(style.digest for style in STYLES)
    for key, tensor in tensors.items():
        if ".norm." in key:
            assert torch.equal(learned[key][:2], tensor)
            assert not torch.equal(learned[key][2], tensor.mean(0))
        else:
            assert torch.equal(learned[key], tensor)


def test_only_rows_needs_a_network_whose_rows_they_are():
    with pytest.raises(UserError, match="only_rows needs a parent"):
        trainer(FAMILIES["conditional"][0].model_copy(update={"only_rows": True}))


def test_a_parent_of_another_family_is_refused():
    tensors, metadata = trainer("conditional").weights()
    with pytest.raises(InputError, match="the parent is conditional"):
        trainer("johnson", parent=NetworkFile("parent", lambda: (metadata, tensors)))


@pytest.mark.parametrize(
    ("family", "published"),
    [
        ("johnson", (4, 40_000, 1e-3)),  # Johnson, Alahi & Fei-Fei 2016, section 4.1
        ("conditional", (16, 40_000, 1e-3)),  # Dumoulin, Shlens & Kudlur 2017, appendix
        ("adain", (8, 160_000, 1e-4)),  # Huang & Belongie 2017, section 6.1; naoto0804/pytorch-AdaIN train.py
    ],
)
def test_defaults_are_those_of_the_papers(family, published):
    config = TRAINING_CONFIGS[family]()
    assert (config.batch_size, config.steps, config.learning_rate) == published
    assert config.size == 256


@pytest.mark.parametrize(
    "config",
    [
        MganTraining(**{**COMMON, "style_layers": ["relu3_1"]}, layer="relu2_1", style_scale=2.0),
        AdainTraining(**{**COMMON, "style_layers": ["relu1_1", "relu3_1"]}, layer="relu2_1"),
    ],
    ids=["mgan", "adain"],
)
def test_an_encoder_that_ends_before_the_style_layers_makes_a_model_that_paints(config):
    training = trainer(config)
    training.step()
    tensors, metadata = training.weights()
    assert not any("conv3_1" in key for key in tensors)
    expected = training.validate([STYLES[1].array]).images[0]
    painter = FeedforwardConfig(family=config.family, model="some", size=40)
    model = NetworkFile("trained", lambda: (metadata, tensors))
    # The style of a validation picture is the first one.
    (made,) = run(request(painter, STYLES[1], STYLES[:1] if config.family == "adain" else [], model=model))
    assert made.error is None
    assert farthest(made.image, expected) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("family", ["johnson", "conditional", "stylize", "adain", "mgan"])
def test_the_temporal_part_is_added_and_on_record(family):
    config, count = FAMILIES[family]
    plain, steady = (
        trainer(config.model_copy(update={"temporal_weight": weight}), STYLES[:count]).step() for weight in (0.0, 5.0)
    )
    assert plain.temporal_loss == 0.0
    assert steady.temporal_loss > 0.0
    assert steady.loss == pytest.approx(plain.loss + steady.temporal_loss, rel=1e-5)
