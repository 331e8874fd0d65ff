"""Judges against the `lpips` package, torch's own formulas, SciPy and closed forms."""

from __future__ import annotations

import math
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg
from torch.distributions import MultivariateNormal, kl_divergence
from torch.nn import functional

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.judgement import JUDGEMENTS, NEUTRAL, SIDE, VGG, JudgeIdentity
from nst.judges import Judge, NeutralJudge, VggJudge
from nst.judges.judge import seen_size
from nst.judges.neutral import STRUCTURE, lpips_distance, lpips_heads, w2_gap
from nst.judges.vgg import DIRECTIONS, WEIGHTS, e_statistic, gaussian_divergence, projected, self_similarity_divergence
from nst.losses.moments import moments_prepare, moments_statistics
from nst.pictures.images import Pixels


def texture(seed, height=72, width=96, coarse=9):
    """A smooth random picture, HWC uint8."""
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.uniform(0, 1, (1, 3, coarse, coarse * 4 // 3)))
    large = functional.interpolate(small, (height, width), mode="bicubic")[0].permute(1, 2, 0)
    return (large.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def pixels(array):
    return Pixels(str(hash(array.tobytes())), array)


@pytest.fixture(scope="module")
def neutral():
    config = BackboneConfig(name="squeezenet", weights="random", pooling="max")
    generator = torch.Generator().manual_seed(0)
    channels = zip(STRUCTURE, (64, 128, 256, 384, 384, 512, 512), strict=True)
    heads = {layer: torch.rand(1, count, 1, 1, generator=generator) for layer, count in channels}
    return NeutralJudge(build_backbone(config, STRUCTURE, None), heads)


@pytest.fixture(scope="module")
def vgg():
    backbone = build_backbone(BackboneConfig(weights="random"), tuple(DIRECTIONS), None)
    references = [torch.from_numpy(texture(s)).permute(2, 0, 1)[None] / 255 for s in (90, 91)]
    return VggJudge(backbone, references)


def heads_of_the_package():
    path = Path(find_spec("lpips").origin).parent / "weights/v0.1/squeeze.pth"
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lpips_equals_the_package_on_the_same_weights():
    lpips = pytest.importorskip("lpips")
    theirs = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    slices = [getattr(theirs.net, f"slice{i}") for i in range(1, 8)]  # they number modules as torchvision does
    modules = dict(named for part in slices for named in part.named_children())
    weights = {f"features.{i}.{k}": v for i, module in modules.items() for k, v in module.state_dict().items()}
    backbone = build_backbone(BackboneConfig(name="squeezenet"), STRUCTURE, weights)
    heads = lpips_heads(heads_of_the_package())
    a, b = (torch.from_numpy(texture(s)).permute(2, 0, 1)[None] / 255 for s in (1, 2))
    with torch.no_grad():
        expected = theirs(a, b, normalize=True).item()
        assert lpips_distance(backbone(a), backbone(b), heads) == pytest.approx(expected, rel=1e-4)
        without = lpips.LPIPS(net="squeeze", pnet_rand=True, lpips=False, verbose=False)
        without.net = theirs.net
        expected = without(a, b, normalize=True).item()
        assert lpips_distance(backbone(a), backbone(b)) == pytest.approx(expected, rel=1e-4)


def test_w2_is_the_frechet_distance():
    rng = torch.Generator().manual_seed(3)
    first, second = (torch.rand(1, 6, 40, 40, generator=rng, dtype=torch.float64) * s for s in (1.0, 1.7))
    parts = []
    for features in (first, second):
        flat = features[0].flatten(1).numpy()
        parts.append((flat.mean(1), np.cov(flat, bias=True)))
    (m, s), (m_t, s_t) = parts
    distance = np.square(m - m_t).sum() + np.trace(s + s_t - 2 * linalg.sqrtm(s @ s_t).real)
    energy = np.square(second[0].flatten(1).numpy()).sum(0).mean()
    statistics = [{"relu1": moments_statistics(features)} for features in (first, second)]
    prepared = {"relu1": moments_prepare(statistics[1]["relu1"])}
    assert w2_gap(*statistics, prepared) == pytest.approx(distance / energy, rel=2e-3)


def test_self_similarity_divergence_is_the_sum_of_kl_over_positions():
    rng = torch.Generator().manual_seed(4)
    a, b = (torch.rand(1, 8, 40, 30, generator=rng) * 40 for _ in range(2))  # 1200 positions: more than one chunk
    rows = [x[0].flatten(1).T / 8 for x in (a, b)]
    p, q = (functional.softmax((x @ x.T).double(), -1) for x in rows)
    expected = (p * (p / q).log()).sum()
    assert self_similarity_divergence(a, b) == pytest.approx(expected.item(), rel=1e-3)
    assert self_similarity_divergence(a, a) == pytest.approx(0, abs=1e-6)


def test_gaussian_divergence_equals_torch():
    rng = torch.Generator().manual_seed(5)
    gaussians = []
    for _ in range(2):
        root = torch.randn(5, 5, generator=rng, dtype=torch.float64)
        gaussians.append((torch.randn(5, generator=rng, dtype=torch.float64), root @ root.T + 0.1 * torch.eye(5)))
    expected = kl_divergence(*(MultivariateNormal(m, s) for m, s in gaussians))
    assert gaussian_divergence(*gaussians) == pytest.approx(expected.item(), rel=1e-9)
    assert gaussian_divergence(gaussians[0], (gaussians[1][0], torch.zeros(5, 5, dtype=torch.float64))) == math.inf


def test_e_statistic_of_shifted_gaussians_is_the_weighted_log_of_their_divergence():
    statistics, bases = [], {}
    for layer, count in DIRECTIONS.items():
        bases[layer] = torch.eye(count + 2, count, dtype=torch.float64)
    for shift in (0.0, 0.5):  # unit covariances, and each mean shifted: KL = 0.5 K shift^2
        found = {}
        for layer, count in DIRECTIONS.items():
            mean = torch.full((1, count + 2), shift, dtype=torch.float64)
            found[layer] = (mean, torch.eye(count + 2)[None] + mean[:, :, None] * mean[:, None, :])
        statistics.append(found)
    expected = -sum(WEIGHTS[layer] * math.log(0.5 * count * 0.25) for layer, count in DIRECTIONS.items())
    picture, style = (projected(found, bases) for found in statistics)
    assert e_statistic(picture, style) == pytest.approx(expected, rel=1e-9)
    assert e_statistic(picture, picture) == pytest.approx(46.7, abs=0.05)


def test_unchanged_copied_and_noisy_pictures_have_no_transfer_score(neutral, vgg):
    content, style = texture(1), texture(2, coarse=30)
    judge = Judge([neutral, vgg])
    ask = partial(judge.measure, content=pixels(content), styles=[pixels(style)])
    same, copy = ask(content), ask(style)
    assert list(same) == list(JUDGEMENTS)
    expected = {"lpips_content": 0, "cfsd_content": 0, "content_kept": 1, "style_gain": 0, "transfer_score": 0}
    assert {name: same[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    expected = {"gram_distance_style": 0, "w2_distance_style": 0, "content_kept": 0, "style_gain": 1}
    assert {name: copy[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert copy["transfer_score"] == pytest.approx(0, abs=1e-3)
    assert copy["e_statistic"] > same["e_statistic"]
    between = (content.astype(int) // 2 + style // 2).astype(np.uint8)
    assert ask(between)["transfer_score"] > 0


def test_where_content_and_style_are_one_image_nothing_is_gained_or_kept(neutral):
    same = texture(1)
    found = Judge([neutral]).measure(texture(2), pixels(same), [pixels(same)])
    assert set(found) == {"lpips_content", "gram_distance_style", "w2_distance_style"}


def test_missing_images_networks_and_sizes_leave_columns_out(neutral, vgg):
    picture, style = texture(1), pixels(texture(2))
    assert set(Judge([neutral]).measure(picture, None, [style])) == {"gram_distance_style", "w2_distance_style"}
    assert set(Judge([neutral]).measure(picture, style)) == {"lpips_content"}
    assert set(Judge([vgg]).measure(picture, style, [style])) == set(VGG)
    assert set(NEUTRAL) & set(VGG) == set()
    assert Judge([neutral, vgg]).measure(picture[:20, :20], style, [style]).keys() == {"cfsd_content"}
    assert Judge([neutral, vgg]).measure(picture[:3, :3], style, [style]) == {}
    thin = pixels(np.zeros((2, 400, 3), np.uint8))
    assert set(Judge([neutral]).measure(picture, style, [thin])) == {"lpips_content"}
    assert Judge([]).measure(picture, style, [style]) == {}


def test_a_flat_picture_has_no_e_statistic(vgg):
    flat = np.full((72, 96, 3), 128, np.uint8)
    assert "e_statistic" not in Judge([vgg]).measure(flat, None, [pixels(texture(1))])


def test_weights_of_styles_are_shares(neutral):
    a, b, picture = (texture(seed) for seed in (2, 3, 1))
    judge = Judge([neutral])
    alone = judge.measure(picture, None, [pixels(a)])
    assert judge.measure(picture, None, [pixels(a), pixels(b)], [1, 0])["w2_distance_style"] == pytest.approx(
        alone["w2_distance_style"], rel=1e-5
    )
    halves = [judge.measure(picture, None, [pixels(a), pixels(b)], weights) for weights in ([3, 3], None)]
    assert halves[0] == halves[1]


@pytest.mark.parametrize(
    ("shape", "size"), [((300, 400), (341, 256)), ((100, 50), (50, 100)), ((256, 4096), (1448, 91)), ((1, 1), (1, 1))]
)
def test_the_size_at_which_a_picture_is_seen_is_bounded(shape, size):
    assert seen_size(np.zeros((*shape, 3), np.uint8)) == size
    assert size[0] * size[1] <= 2.1 * SIDE**2


def test_a_judge_is_identified_by_its_weights():
    known = JudgeIdentity("b8a52dc0", "4a5350f2", "")
    assert known.columns["judge_weights"] == '{"squeezenet":"b8a52dc0","lpips":"4a5350f2"}'
    assert len({known.digest, JudgeIdentity("b8a52dc0").digest, JudgeIdentity().digest}) == 3
