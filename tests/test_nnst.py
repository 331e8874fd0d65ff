"""Neural neighbours: matches are those of brute force on centred features, batches are exact, the style is taken on."""

import numpy as np
import pytest
import torch

from nst.config.nnst import NnstConfig
from nst.errors import InputError
from nst.losses.neighbours import Hypercolumns, NeighbourTarget, nearest_columns
from nst.methods import stylize_batch
from nst.methods.nnst import style_copies
from nst.workspace import Pixels, Request, Workspace

GENERATOR = torch.Generator().manual_seed(18)


def columns(height, width, channels=6):
    return torch.rand(1, channels, height, width, generator=GENERATOR, dtype=torch.float64)


def picture(seed, height=32, width=40):
    coarse = np.random.default_rng(seed).integers(0, 256, size=(height // 4, width // 4, 3))
    return Pixels(f"digest-{seed}", np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint8))


CONTENT, STYLE, OTHER = picture(0), picture(1, 36, 36), picture(2, 36, 36)


def settings(**changes):
    fields = {"backbone": {"weights": "random"}, "size": 40, "steps": 12, "pyramid": {"levels": 1}, "turns": 1}
    return NnstConfig(**{**fields, "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}, **changes})


def request(config=None, styles=(STYLE,), content=CONTENT):
    return Request("cell", content, tuple(styles), (1.0,) * len(styles), "targets", config or settings())


def run(*requests):
    return stylize_batch(list(requests), Workspace("cpu", lambda _: pytest.fail("random weights are not loaded")))


def test_neighbours_are_those_of_brute_force_on_centred_features():
    picture_, maps = columns(5, 7), [columns(6, 4), columns(3, 9)]
    style = np.concatenate([one.numpy().reshape(6, -1) for one in maps], 1)
    ours = picture_.numpy().reshape(6, -1)
    left, right = (x - x.mean(1, keepdims=True) for x in (ours, style))
    cosine = (left / np.linalg.norm(left, axis=0)).T @ (right / np.linalg.norm(right, axis=0))
    matches, index = nearest_columns(picture_[0].flatten(1), maps)
    assert np.array_equal(index.numpy(), cosine.argmax(1))
    np.testing.assert_allclose(matches.numpy(), style[:, cosine.argmax(1)], atol=1e-14)


def test_the_loss_is_the_mean_cosine_distance_to_the_matches():
    picture_, content, style = columns(4, 5), columns(4, 5), columns(6, 6)
    share = torch.tensor([0.75], dtype=torch.float64)
    asked = 0.75 * content + 0.25 * picture_
    matches = nearest_columns(asked[0].flatten(1), [style])[0].numpy()
    ours = picture_[0].flatten(1).numpy()
    cosine = (ours * matches).sum(0) / np.linalg.norm(ours, axis=0) / np.linalg.norm(matches, axis=0)
    target = NeighbourTarget(((style,),), content, share)
    assert target(picture_).item() == pytest.approx((1 - cosine).mean(), rel=1e-12)
    assert target(torch.zeros_like(picture_)).item() == pytest.approx(1.0)
    assert target(3.0 * picture_.clone()).item() == pytest.approx(target(picture_).item(), abs=0.1)


def test_the_gradient_is_that_of_the_loss():
    target = NeighbourTarget(((columns(4, 4, 3),),), columns(3, 3, 3), torch.tensor([0.5]).double())
    assert torch.autograd.gradcheck(target, (columns(3, 3, 3).requires_grad_(),))


def test_hypercolumns_are_all_layers_at_a_quarter_of_the_size():
    def backbone(images):
        return {"a": 2.0 * torch.ones(1, 2, 16, 24), "b": torch.arange(24.0).view(1, 4, 2, 3)}

    found = Hypercolumns(backbone, {"a": 1.0, "b": 3.0})(torch.zeros(1, 3, 16, 24))["hypercolumns"]
    assert found.shape == (1, 6, 4, 6)
    torch.testing.assert_close(found[0, :2], torch.ones(2, 4, 6))
    assert found[0, 2:].mean().item() == pytest.approx(3.0 / 4 * 11.5, rel=1e-5)


def test_the_loss_falls_is_told_and_batches_are_exact():
    configs = [settings(precision="float64", content_share=share, tv_weight=share, steps=8) for share in (0.25, 1.0)]
    requests = [request(configs[0]), request(configs[1], [STYLE, OTHER])]
    for together, one in zip(run(*requests), requests, strict=True):
        (alone,) = run(one)
        assert [row.loss for row in together.trace] == pytest.approx([row.loss for row in alone.trace], rel=1e-6)
        assert together.trace[-1].loss < 0.8 * together.trace[0].loss
        losses = together.losses
        assert losses.loss == pytest.approx(losses.style_loss + one.config.tv_weight * losses.tv_loss, rel=1e-9)
        assert losses.content_loss is None


def test_a_style_laid_over_itself_stays_itself():
    (result,) = run(request(settings(steps=4, turns=0), [Pixels("same", CONTENT.array)]))
    assert np.abs(result.image.astype(int) - CONTENT.array).max() <= 1
    assert result.losses.loss < 1e-4


def test_copies_are_quarter_turns():
    copies = style_copies(picture(3, 20, 40), 40, settings(turns=3))
    assert [copy.shape[:2] for copy in copies] == [(20, 40), (40, 20), (20, 40), (40, 20)]
    assert np.array_equal(copies[2], copies[0][::-1, ::-1])


def test_what_is_missing_or_too_thin_is_refused():
    thin = Pixels("thin", np.zeros((400, 1, 3), np.uint8))
    missing, refused = run(request(content=None), request(styles=[thin]))
    assert isinstance(missing.error, InputError)
    assert isinstance(refused.error, InputError)
