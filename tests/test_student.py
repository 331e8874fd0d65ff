"""A small backbone that learns from a full one: closed forms, finite differences, and the descents that it serves."""

import numpy as np
import pytest
import torch
from cells import blocks, picture, workspace

from nst.backbones import VGG, random_weights
from nst.config.backbone import BackboneConfig
from nst.config.training import StudentTraining
from nst.errors import InputError
from nst.losses.agreement import disagreement
from nst.networks import network_from
from nst.training import Trainer
from nst.training.distillation import distil
from nst.workspace import NetworkFile

TEACHER = BackboneConfig(weights="random", pooling="max")
TEACHERS = random_weights("vgg19", 0, "relu2_1")
TINY = StudentTraining(
    filters=(6, 5, 7), size=16, batch_size=2, crops=10, steps=8, content_layers=["relu2_1"],
    style_layers=["relu1_1", "relu2_1"], style_scale=1.5, backbone=TEACHER, learning_rate=1e-3,
)  # fmt: skip
PHOTOGRAPHS = np.stack([blocks(seed, 24, 24) for seed in range(6)])
STYLES = [picture(seed, 40, 30) for seed in (100, 101)]


def trainer(config=TINY, photographs=PHOTOGRAPHS, **changes):
    parent = changes.pop("parent", None)
    return Trainer(config.model_copy(update=changes), STYLES, workspace(), photographs, parent=parent)


def test_disagreement_of_equal_opposite_and_longer_gradients():
    gradient = torch.randn((3, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for factor, expected in ((1.0, 0.0), (-1.0, 2.0), (np.e, 0.1), (-(np.e**2), 2.4), (1e-3, 0.1 * np.log(1e3) ** 2)):
        assert disagreement(factor * gradient, gradient, 0.1).tolist() == pytest.approx([expected] * 3, abs=1e-9)
    quarter = torch.zeros(1, 1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    quarter[0][..., 0] = quarter[1][..., 1] = 5.0
    assert disagreement(*quarter, 1.0).item() == pytest.approx(1.0)
    assert disagreement(0.0 * gradient, 0.0 * gradient, 0.1).isfinite().all()


@pytest.mark.slow
def test_the_gradient_of_the_disagreement_is_that_of_finite_differences():
    training = trainer(precision="float64")
    training.lesson.begin(training.sampler)
    batch = training.sampler.batch(0)
    pictures, objective = training.lesson(training.lesson.tensor(batch.photographs), batch.styles, batch.seeds)
    objective(pictures).total.mean().backward()
    random = torch.Generator().manual_seed(1)
    for name, parameter in training.network.named_parameters():
        direction = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
        direction /= direction.norm() / parameter.detach().norm()
        slope = (parameter.grad * direction).sum().item()
        values = []
        for step in (1e-7, -1e-7):
            with torch.no_grad():
                parameter.add_(step * direction)
                values.append(objective(pictures).total.mean().item())
                parameter.sub_(step * direction)
        assert (values[0] - values[1]) / 2e-7 == pytest.approx(slope, rel=1e-4, abs=1e-7), name
        assert slope != 0.0


def test_the_first_weights_are_the_closed_form_and_are_computed_once(monkeypatch):
    calls = []
    monkeypatch.setattr("nst.training.lessons.student.distil", lambda *a, **k: calls.append(1) or distil(*a, **k))
    first = trainer(learning_rate=1e-9)
    for _ in range(2):
        first.step()
    assert len(calls) == 1
    # Both networks see the same pictures, so the first layer of the student is made of filters of the teacher's.
    wide, slim = (weights["features.0.weight"].flatten(1) for weights in (TEACHERS, first.network.state_dict()))
    assert torch.cdist(slim, wide).amin(1).max() < 0.1 * torch.cdist(wide, wide).fill_diagonal_(torch.inf).min()
    resumed = trainer(learning_rate=1e-9)
    resumed.load_state(first.state())
    resumed.step()
    tensors, metadata = first.weights()
    child = trainer(parent=NetworkFile("parent", lambda: (metadata, tensors)), learning_rate=1e-9)
    child.step()
    assert len(calls) == 1  # neither a resumed training nor one with a parent begins anew
    torch.testing.assert_close(child.weights()[0], tensors)


def test_the_disagreement_of_features_is_that_of_numpy():
    training = trainer(feature_weight=2.0, content_weight=0.0, style_weight=0.0)
    training.lesson.begin(training.sampler)
    batch = training.sampler.batch(0)
    pictures, objective = training.lesson(training.lesson.tensor(batch.photographs), batch.styles, batch.seeds)
    found = objective(pictures)
    student = training.lesson.backbone.carrying(training.network.state_dict())
    ours, theirs = (
        {k: v.detach().double().numpy() for k, v in net(pictures).items()}
        for net in (student, training.lesson.backbone)
    )
    errors, grams = [], []
    for layer, weight in (("1_1", 1.0), ("1_2", 0.3), ("2_1", 1.0)):
        kept = training.lesson.kept.get_buffer(f"conv{layer}").numpy()
        x, y = ours[f"relu{layer}"], theirs[f"relu{layer}"][:, kept]
        errors.append(weight * ((x - y) ** 2).sum((1, 2, 3)) / (y**2).sum((1, 2, 3)))
        if weight == 1.0:
            a, b = (np.einsum("bchw,bdhw->bcd", z, z) / z[0, 0].size for z in (x, y))
            grams.append(((a - b) ** 2).sum((1, 2)) / (b**2).sum((1, 2)))
    np.testing.assert_allclose(found.total.detach(), 2.0 * (np.sum(errors, 0) + np.sum(grams, 0)) / 3, rtol=1e-4)


def test_features_are_compared_after_a_resumption_and_not_after_a_parent():
    first = trainer(feature_weight=1.0)
    first.step()
    resumed = trainer(feature_weight=1.0)
    resumed.load_state(first.state())
    assert resumed.step() == first.step()
    tensors, metadata = first.weights()
    child = trainer(parent=NetworkFile("parent", lambda: (metadata, tensors)), feature_weight=1.0)
    with pytest.raises(InputError, match="which the file of a parent does not say"):
        child.step()


@pytest.mark.slow
def test_a_student_with_all_filters_agrees_with_its_teacher():
    full = trainer(
        filters=(64, 64, 128), crops=40, size=24, photographs=np.stack([blocks(s, 24, 24) for s in range(9)])
    )
    loss = full.step().loss
    assert loss < 0.2 * trainer().step().loss
    assert loss < 0.1


@pytest.mark.slow
def test_training_brings_the_gradients_closer():
    training = trainer()
    before = training.step().loss
    first = training.sampler.batch(0)
    for _ in range(25):
        training.step()
    squares = training.lesson.tensor(first.photographs)
    pictures, objective = training.lesson(squares, first.styles, first.seeds)
    assert objective(pictures).total.mean().item() < 0.9 * before


def test_its_file_is_the_weights_of_a_backbone_in_half_precision():
    training = trainer()
    training.step()
    tensors, metadata = training.weights()
    assert list(tensors) == [f"features.{n}.{part}" for n in (0, 2, 5) for part in ("weight", "bias")]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert tensors["features.5.weight"].shape == (7, 5, 3, 3)
    images = torch.rand((1, 3, 20, 20), generator=torch.Generator().manual_seed(3))
    alone = VGG("vgg19", ["relu2_1"], tensors)(images)["relu2_1"]
    inside = training.lesson.backbone.carrying(training.network.state_dict())(images)["relu2_1"].detach()
    assert ((alone - inside).norm() / inside.norm()).item() < 2e-3
    network = network_from(metadata, tensors)
    assert network.family == "student"
    with pytest.raises(InputError, match=r"measures pictures and makes none \(name its file as backbone.weights"):
        network(images)


@pytest.mark.slow
def test_validation_pictures_are_descents_towards_the_style():
    training = trainer()
    training.step()
    pictures = [PHOTOGRAPHS[0], PHOTOGRAPHS[1]]
    first, second = (training.validate(pictures) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first.images, second.images, strict=True))
    assert first.losses["loss"] == pytest.approx(first.losses["content_loss"] + first.losses["style_loss"], rel=1e-6)
    teacher = training.lesson.backbone

    def grams(picture):
        with torch.no_grad():
            maps = teacher(training.lesson.tensor(picture[None]))["relu1_1"].flatten(2)
        return maps @ maps.transpose(1, 2) / maps.shape[2]

    for number, made in enumerate(first.images):
        style = grams(training.lesson.styles[number])
        assert (grams(made) - style).norm() < 0.7 * (grams(pictures[number]) - style).norm()


def test_more_filters_than_the_squares_tell_apart_are_refused():
    alive = torch.arange(64) < 4
    dead = TEACHERS | {"features.0.bias": torch.where(alive, TEACHERS["features.0.bias"], -1000.0)}
    config = TINY.model_copy(update={"backbone": BackboneConfig(weights="dead.safetensors")})
    training = Trainer(config, STYLES, workspace(dead), PHOTOGRAPHS)
    with pytest.raises(InputError, match="these squares tell 4 filters of conv1_1 apart; filters has 6"):
        training.step()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": (6, 5)}, "filters has 2 numbers; expected 3, one for each convolution of vgg19 up to relu2_1"),
        ({"filters": (6, 65, 7)}, "filters has 65 for conv1_2; expected at most 64, which vgg19 has"),
        ({"backbone": "squeezenet"}, "a student learns from vgg16 or vgg19; found backbone: squeezenet"),
    ],
)
def test_filters_that_do_not_fit_the_backbone_are_refused(changes, message):
    settings = {"filters": (6, 5, 7), "content_layers": ["relu2_1"], "style_layers": ["relu1_1"], **changes}
    with pytest.raises(ValueError, match=message):
        StudentTraining(**settings)
