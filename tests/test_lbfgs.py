import numpy as np
import pytest
import scipy.optimize
import torch

from nst.optimize.lbfgs import BatchLBFGS

GENERATOR = torch.Generator().manual_seed(9)


def quadratics(rows, size, condition=100.0):
    """Return matrices, right-hand sides and exact minimisers of x A x / 2 - b x."""
    basis, _ = torch.linalg.qr(torch.randn(rows, size, size, generator=GENERATOR, dtype=torch.float64))
    values = torch.logspace(0, np.log10(condition), size, dtype=torch.float64)
    matrices = basis @ torch.diag(values) @ basis.transpose(1, 2)
    sides = torch.randn(rows, size, generator=GENERATOR, dtype=torch.float64)
    return matrices, sides, torch.linalg.solve(matrices, sides)


def rosenbrock(points_BN):
    points_BN = points_BN.detach().requires_grad_()
    head, tail = points_BN[:, :-1], points_BN[:, 1:]
    loss_B = (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum(1)
    (gradient_BN,) = torch.autograd.grad(loss_B.sum(), points_BN)
    return loss_B.detach(), gradient_BN


def minimise(function, start_BN, steps, **settings):
    optimizer = BatchLBFGS(start_BN, **settings)
    for _ in range(steps):
        optimizer.observe(*function(optimizer.propose()))
    return optimizer


def test_quadratics_reach_their_exact_minimum():
    matrices, sides, exact = quadratics(3, 12)

    def function(points):
        products = torch.einsum("bij,bj->bi", matrices, points)
        return 0.5 * (points * products).sum(1) - (sides * points).sum(1), products - sides

    found = minimise(function, torch.zeros(3, 12, dtype=torch.float64), 80, max_move=1.0).point_BN
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-8)


def test_rosenbrock_takes_about_as_many_evaluations_as_scipys():
    start = torch.tensor([[-1.2, 1.0] * 5, [0.0] * 10], dtype=torch.float64)
    ours = minimise(rosenbrock, start, 120, max_move=1.0)
    assert (ours.point_BN - 1).abs().max() < 1e-6
    for row in start:

        def function(point):
            loss, gradient = rosenbrock(torch.from_numpy(point)[None])
            return loss.item(), gradient[0].numpy()

        known = scipy.optimize.minimize(function, row.numpy(), jac=True, method="L-BFGS-B", options={"maxcor": 20})
        assert known.nfev < 120
        np.testing.assert_allclose(known.x, 1.0, atol=1e-3)


def test_the_direction_is_the_two_loop_recursions():
    start = torch.randn(2, 30, generator=GENERATOR, dtype=torch.float64)
    optimizer = minimise(rosenbrock, start, 25, history=6, max_move=0.3)
    for row in range(2):
        order = sorted((born.item(), slot) for slot, born in enumerate(optimizer.born_BK[row]) if born >= 0)
        pairs = [(optimizer.moves_BKN[row, slot], optimizer.changes_BKN[row, slot]) for _, slot in order]
        vector, alphas = optimizer.gradient_BN[row].clone(), []
        for move, change in reversed(pairs):
            alphas.append((move @ vector) / (move @ change))
            vector -= alphas[-1] * change
        vector *= (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])
        for (move, change), alpha in zip(pairs, reversed(alphas), strict=True):
            vector += (alpha - (change @ vector) / (move @ change)) * move
        torch.testing.assert_close(optimizer.direction_BN[row], -vector, rtol=1e-8, atol=1e-10)


def test_rows_do_not_feel_each_other():
    start = torch.randn(4, 20, generator=GENERATOR, dtype=torch.float64)
    together = minimise(rosenbrock, start, 40, history=5).point_BN
    alone = torch.cat([minimise(rosenbrock, row[None], 40, history=5).point_BN for row in start])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-11)


def test_the_loss_never_rises_and_no_move_is_longer_than_allowed():
    optimizer = BatchLBFGS(3.0 * torch.randn(5, 10, generator=GENERATOR, dtype=torch.float64), max_move=0.05)
    before = None
    for _ in range(60):
        trial = optimizer.propose()
        assert ((trial - optimizer.point_BN).square().mean(1).sqrt() <= 0.05 * (1 + 1e-12)).all()
        optimizer.observe(*rosenbrock(trial))
        now = rosenbrock(optimizer.point_BN)[0]
        assert before is None or (now <= before).all()
        before = now


def test_units_of_the_loss_do_not_matter():
    start = torch.randn(1, 10, generator=GENERATOR)

    def scaled(factor):
        return minimise(lambda x: tuple(factor * part for part in rosenbrock(x)), start, 30).point_BN

    assert torch.equal(scaled(2.0**70), scaled(1.0))  # a power of two rounds nothing
    assert torch.equal(scaled(2.0**-70), scaled(1.0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_and_the_search_goes_on(bad):
    calls = []

    def function(points):
        loss, gradient = rosenbrock(points)
        calls.append(1)
        if len(calls) % 3 == 0:
            loss, gradient = loss * bad, gradient * bad
        return loss, gradient

    optimizer = minimise(function, torch.zeros(1, 6, dtype=torch.float64), 150, max_move=1.0)
    assert rosenbrock(optimizer.point_BN)[0].item() < 1e-6


def test_a_row_that_is_never_finite_stays_at_its_start_alone():
    start = torch.zeros(2, 6, dtype=torch.float64)

    def function(points):
        loss, gradient = rosenbrock(points)
        return loss * torch.tensor([1.0, float("nan")]), gradient * torch.tensor([[1.0], [float("nan")]])

    optimizer = minimise(function, start, 80, max_move=1.0)
    alone = minimise(rosenbrock, start[:1], 80, max_move=1.0)
    torch.testing.assert_close(optimizer.point_BN[0], alone.point_BN[0])
    assert torch.equal(optimizer.point_BN[1], start[1])
    assert optimizer.started_B.tolist() == [True, False]


@pytest.mark.slow
def test_bounds_hold_and_the_bounded_minimum_is_scipys():
    matrices, sides, _ = quadratics(1, 10, 30.0)

    def function(points):
        products = torch.einsum("bij,bj->bi", matrices, points)
        return 0.5 * (points * products).sum(1) - (3.0 * sides * points).sum(1), products - 3.0 * sides

    optimizer = BatchLBFGS(torch.full((1, 10), 0.5, dtype=torch.float64), bounds=(0.0, 1.0), max_move=0.5)
    for _ in range(150):
        trial = optimizer.propose()
        assert 0.0 <= trial.min() <= trial.max() <= 1.0
        optimizer.observe(*function(trial))

    def numpy_function(point):
        loss, gradient = function(torch.from_numpy(point)[None])
        return loss.item(), gradient[0].numpy()

    known = scipy.optimize.minimize(
        numpy_function, np.full(10, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 10, options={"ftol": 1e-14}
    )
    assert any(value in {0.0, 1.0} for value in known.x)
    np.testing.assert_allclose(optimizer.point_BN[0].numpy(), known.x, atol=1e-4)
