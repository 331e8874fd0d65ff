"""Training against a critic: its real patches are the style's, both sides learn, and no model's file holds it."""

import math

import numpy as np
import pytest
import torch
from cells import RANDOM, blocks, farthest, picture, request, run, workspace
from pydantic import ValidationError

from nst.config.mdan import MdanConfig
from nst.config.training import MganTraining
from nst.config.training.mgan import DeconvolutionConfig
from nst.errors import UserError
from nst.losses.objective import extract
from nst.ops import to_arrays, to_bytes
from nst.pictures.images import Pixels
from nst.training import Trainer
from nst.training.lessons import Syllabus
from nst.training.lessons.markovian import GROWTH, TURN, MarkovianLesson, style_square

CONFIG = MganTraining(
    size=24, batch_size=2, learning_rate=1e-3, layer="relu2_1", style_layers=["relu1_1", "relu2_1"], style_scale=2.0,
    backbone=RANDOM,
)  # fmt: skip
RAMPS = np.stack(np.broadcast_arrays(np.arange(200)[None, :], np.arange(160)[:, None], 255), 2).astype(np.uint8)
"""Red is the column, green the row, blue is full: what is not of the picture shows."""


PHOTOGRAPHS = np.stack([blocks(seed, 48, 48) for seed in range(6)])
STYLE = picture(9, 96, 128)


def trainer(config=CONFIG, style=STYLE):
    return Trainer(config, [style], workspace(), PHOTOGRAPHS)


def test_real_squares_are_the_styles_own_turned_scaled_and_mirrored_a_little():
    turns, growths, hands = [], [], []
    for seed in range(60):
        square = style_square(RAMPS, 64, seed).astype(float)
        assert square.shape == (64, 64, 3)
        assert square[..., 2].min() == 255.0, "nothing but the style is in it"
        # How the style's column and row change from one pixel of the square to the next.
        right, down = (
            [np.diff(square[8:-8, 8:-8, channel], axis=axis).mean() for channel in (0, 1)] for axis in (1, 0)
        )
        determinant = right[0] * down[1] - right[1] * down[0]
        hands.append(math.copysign(1.0, determinant))
        growths.append(1.0 / math.sqrt(abs(determinant)))
        turns.append(math.degrees(math.atan2(down[0], down[1])))
    assert max(map(abs, turns)) < TURN + 0.5
    assert min(turns) < -0.7 * TURN < 0.7 * TURN < max(turns)
    assert 1 / GROWTH - 0.01 < min(growths) < 0.95
    assert 1.05 < max(growths) < GROWTH + 0.01
    assert 15 < hands.count(1.0) < 45
    assert np.array_equal(style_square(RAMPS, 64, 3), style_square(RAMPS, 64, 3))


def test_the_critic_is_shown_the_style_and_never_a_photograph():
    colour = np.full((60, 80, 3), (200, 30, 90), np.uint8)
    lesson = trainer(style=Pixels("red", colour)).lesson
    photographs = lesson.tensor(PHOTOGRAPHS[:2, :24, :24])
    _, objective = lesson(photographs, [0, 0], [1, 2])
    expected = extract(lesson.backbone, lesson.tensor(colour[None, :24, :24]), "float32")
    for layer in ("relu1_1", "relu2_1"):
        (real,) = (term.loss.real for term in objective.terms if (term.name, term.layer) == ("style", layer))
        assert real.shape[0] == 2
        torch.testing.assert_close(real, expected[layer].expand_as(real))


def test_one_step_moves_network_and_critic_and_not_the_encoder():
    training = trainer()
    before = {key: tensor.clone() for key, tensor in training.learners.state_dict().items()}
    training.step()
    for key, tensor in training.learners.state_dict().items():
        still = ".encoder." in key or key.endswith((".mean", ".deviation"))
        if not key.endswith("score.bias"):  # inside the margin real and painted patches pull at it alike
            assert torch.equal(before[key], tensor) == still, key


def test_the_critic_learns_at_its_own_rate():
    slow, fast = (trainer(CONFIG.model_copy(update={"critic_rate": rate})) for rate in (0.01, 1.0))
    before = slow.lesson.critic["relu2_1"].patches.weight.detach().clone()
    moved = []
    for training in (slow, fast):
        training.step()
        moved.append((training.lesson.critic["relu2_1"].patches.weight.detach() - before).abs().max().item())
    # The first step of Adam is the learning rate, whatever the gradient.
    assert moved == pytest.approx([0.01 * 1e-3, 1e-3], rel=0.01)


@pytest.mark.slow
def test_a_critic_learns_to_tell_the_style_from_the_networks_pictures():
    training = trainer(CONFIG.model_copy(update={"critic_rate": 1.0, "learning_rate": 3e-4}))
    photographs = training.lesson.tensor(PHOTOGRAPHS[:2, :24, :24])

    def loss():
        with torch.no_grad():
            pictures, objective = training.lesson(photographs, [0, 0], [1, 2])
            features = extract(training.lesson.backbone, pictures, "float32")
            duels = [term for term in objective.terms if term.name == "style"]
            return sum(term.loss.critic_loss(features[term.layer]).mean().item() for term in duels)

    before = loss()
    for _ in range(10):
        training.step()
    assert loss() < 0.7 * before


@pytest.mark.slow
def test_looking_at_pictures_changes_nothing():
    watched, alone = trainer(), trainer()
    watched.validate(PHOTOGRAPHS[:2])
    assert watched.step() == alone.step()
    watched.validate(PHOTOGRAPHS[:2])
    assert watched.step() == alone.step()


def test_a_checkpoint_holds_the_critic_and_a_models_file_does_not():
    training = trainer()
    training.step()
    state, (weights, _) = training.state(), training.weights()
    assert "critic.relu2_1.patches.weight" in state
    moments = sum(key.startswith("optimizer.") and key.endswith("exp_avg") for key in state)
    learned = sum(1 for _ in training.learners.parameters())
    assert moments == learned == sum(1 for _ in training.network.parameters()) + 8
    assert not any("critic" in key for key in weights)
    assert any(key.startswith("encoder.") for key in weights)
    assert not any("encoder." in key for key in state)


def test_the_first_of_two_stages_makes_the_pictures_of_mdan():
    block = {"steps": 4, "content_weight": 0.5, "style_weight": 2.0, "tv_weight": 0.3, "critic_rate": 0.1}
    config = CONFIG.model_copy(update={"deconvolution": DeconvolutionConfig(**block), "style_scale": 1.0})
    square = PHOTOGRAPHS[0][:24, :24]
    lesson = trainer(config).lesson
    (made,) = to_arrays(to_bytes(lesson.deconvolution(lesson.tensor(square[None]))))
    method = MdanConfig(
        **block, size=24, content_layers=["relu2_1"], style_layers=["relu1_1", "relu2_1"], pyramid={"levels": 1},
        backbone=RANDOM,
    )  # fmt: skip
    (alone,) = run(request(method, Pixels("square", square), [STYLE]))
    assert farthest(made, alone.image) <= 1
    assert farthest(made, square) > 5


def test_a_network_of_two_stages_learns_the_pixels_of_these_pictures():
    config = CONFIG.model_copy(update={"deconvolution": DeconvolutionConfig(steps=2), "content_weight": 3.0})
    lesson = trainer(config).lesson
    photographs = lesson.tensor(PHOTOGRAPHS[:2, :24, :24])
    outputs, objective = lesson(photographs, [0, 0], [1, 2])
    pictures = lesson.deconvolution(photographs)
    expected = 3.0 * (outputs - pictures).square().sum((1, 2, 3)) / pictures.square().sum((1, 2, 3))
    torch.testing.assert_close(objective(outputs).part("content"), expected)


def test_two_stages_take_whole_photographs():
    with pytest.raises(ValidationError, match="whole photographs; photograph_scale is 2"):
        MganTraining(deconvolution={}, photograph_scale=2.0)


@pytest.mark.parametrize(("size", "scale"), [(16, 1.0), (64, 0.2)])
def test_squares_without_a_patch_are_refused(size, scale):
    config = CONFIG.model_copy(update={"size": size, "style_scale": scale, "style_layers": {"relu3_1": 1.0}})
    with pytest.raises(UserError, match=r"squares of \d+ pixels hold no patch of relu3_1: expected 12 at least"):
        MarkovianLesson(config, Syllabus([picture(0, 20, 200)], [0], 1), workspace())


def test_the_loss_of_an_undecided_critic_counts_by_the_style_weight():
    assert trainer(CONFIG.model_copy(update={"style_weight": 3.0})).guard.undecided == 3.0
