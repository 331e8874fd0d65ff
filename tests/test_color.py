import numpy as np
import torch

from nst.pictures.color import match_colors, take_luminance

GENERATOR = np.random.default_rng(0)


def test_luminance_is_the_stylized_images_and_chroma_the_contents():
    stylized = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.2 + 0.4
    content = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.2 + 0.4
    result = take_luminance(stylized, content)
    matrix = torch.tensor(
        [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]], dtype=torch.float64
    )  # BT.601 RGB to YUV

    def yuv(pictures):
        return torch.einsum("ij,bjhw->bihw", matrix, pictures)

    torch.testing.assert_close(yuv(result)[:, 0], yuv(stylized)[:, 0])
    torch.testing.assert_close(yuv(result)[:, 1:], yuv(content).expand(2, -1, -1, -1)[:, 1:], rtol=0, atol=2e-5)


def test_matched_colors_have_the_contents_mean_and_covariance():
    mixing = GENERATOR.normal(size=(3, 3)) * 12
    style = (GENERATOR.normal(size=(40, 50, 3)) @ mixing + 120).clip(0, 255).astype(np.uint8)
    content = (GENERATOR.normal(size=(30, 20, 3)) * (8, 14, 20) + (90, 120, 140)).clip(0, 255).astype(np.uint8)
    matched = match_colors(style, content).reshape(-1, 3).astype(float)
    target = content.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(0), target.mean(0), atol=0.5)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(target.T), rtol=0.05, atol=3)


def test_a_style_with_the_contents_colors_already_is_left_as_it_is():
    style = GENERATOR.integers(60, 190, size=(20, 20, 3), dtype=np.uint8)
    assert np.abs(match_colors(style, style[::-1]).astype(int) - style).max() <= 1


def test_a_style_of_one_color_takes_the_contents_mean():
    content = GENERATOR.integers(60, 190, size=(20, 20, 3), dtype=np.uint8)
    matched = match_colors(np.full((8, 8, 3), 200, np.uint8), content)
    np.testing.assert_allclose(matched.reshape(-1, 3).mean(0), content.reshape(-1, 3).mean(0), atol=1)
