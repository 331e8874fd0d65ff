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


def test_after_eight_refusals_in_a_row_the_history_is_dropped_and_the_gradient_is_followed():
    optimizer = minimise(rosenbrock, torch.zeros(1, 6, dtype=torch.float64), 12, first_move=0.03)
    while optimizer.refusals_B.item():  # so that none of the steps before counts
        optimizer.observe(*rosenbrock(optimizer.propose()))
    gradient_BN = optimizer.gradient_BN.clone()
    steepest_BN = -0.03 * gradient_BN / gradient_BN.square().mean().sqrt()
    for refusal in range(1, 9):
        assert (optimizer.born_BK >= 0).any()
        assert not torch.allclose(optimizer.direction_BN, steepest_BN, rtol=1e-3)
        loss_B, gradient_BN = rosenbrock(optimizer.propose())
        optimizer.observe(loss_B * torch.inf, gradient_BN)
        assert optimizer.refusals_B.item() == refusal % 8
    assert (optimizer.born_BK < 0).all()
    torch.testing.assert_close(optimizer.direction_BN, steepest_BN)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_value_on_a_bound_leaves_it_only_inwards(start):
    """The distance to a point has its bounded minimum at that point with its values clamped."""
    wanted = torch.tensor([[0.3, 2.0, -1.0, 0.9]], dtype=torch.float64)
    begin = torch.full_like(wanted, start)

    def function(points_BN):
        return (points_BN - wanted).square().sum(1), 2.0 * (points_BN - wanted)

    optimizer = BatchLBFGS(begin, bounds=(0.0, 1.0), max_move=0.5)
    optimizer.observe(*function(optimizer.propose()))
    outwards = (wanted - begin) * (1.0 if start else -1.0) > 0
    assert torch.equal(optimizer.direction_BN == 0, outwards)
    for _ in range(30):
        optimizer.observe(*function(optimizer.propose()))
    torch.testing.assert_close(optimizer.point_BN, wanted.clamp(0.0, 1.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("share", "accepted"), [(1.5e-4, True), (0.5e-4, False)])
def test_a_step_is_accepted_if_the_loss_falls_by_a_ten_thousandth_of_what_the_slope_promises(share, accepted):
    """Armijo's condition with the constant 1e-4 of Nocedal & Wright 2006, section 3.1."""
    optimizer = BatchLBFGS(torch.zeros(1, 4, dtype=torch.float64))
    gradient_BN = torch.tensor([[1.0, -2.0, 0.5, 1.5]], dtype=torch.float64)
    optimizer.propose()
    optimizer.observe(torch.tensor([10.0], dtype=torch.float64), gradient_BN)
    trial_BN = optimizer.propose()
    promised = (gradient_BN * trial_BN).sum(1)  # from zero
    optimizer.observe(10.0 + share * promised, gradient_BN)
    assert torch.equal(optimizer.point_BN, trial_BN) == accepted
