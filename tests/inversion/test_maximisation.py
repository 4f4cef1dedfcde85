"""Activation maximisation, on activations whose maximum is known."""

import pytest
import torch
from torch import nn

from svdlib.errors import OptimisationError
from svdlib.inversion.maximisation import maximise, maximise_through
from svdlib.inversion.optimisation import OptimisationPlan, alpha_norm

PATTERN = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(1))


def likes_the_pattern(x):
    """A linear unit."""
    return (x * PATTERN).flatten(1).sum(dim=1)


def start(count=3):
    return 0.1 * torch.randn(count, 1, 6, 8, generator=torch.Generator().manual_seed(0))


def test_a_linear_unit_with_a_penalty_has_the_maximum_that_calculus_says():
    """-<x, p> / s + w mean(x ** 6) is smallest where x ** 5 is in proportion to p."""
    weight, scale = 0.01, 4.0
    found = maximise(likes_the_pattern, start(), OptimisationPlan(400, alpha_weight=weight), scale=scale)
    p = PATTERN / scale
    expected = p.sign() * (p.abs() * p.numel() / (6 * weight)) ** (1 / 5)
    torch.testing.assert_close(found.pictures, expected.expand(3, 1, 6, 8), atol=0.02, rtol=0.01)
    torch.testing.assert_close(found.activations[-1], likes_the_pattern(found.pictures))
    assert len(found.activations) == 401 and (found.activations[-1] > found.activations[0]).all()


def test_the_variation_makes_it_smooth():
    rough, smooth = (
        maximise(
            likes_the_pattern, start(1), OptimisationPlan(100, alpha_weight=0.01, variation_weight=weight), scale=4
        )
        for weight in (0.0, 3.0)
    )
    assert smooth.pictures.diff(dim=-1).square().mean() < 0.5 * rough.pictures.diff(dim=-1).square().mean()


def test_its_negative_is_avoided():
    found = maximise(lambda x: -likes_the_pattern(x), start(1), OptimisationPlan(60, alpha_weight=0.01))
    assert likes_the_pattern(found.pictures) < likes_the_pattern(start(1)) - 10
    assert alpha_norm(found.pictures) < 1e4


class Painter(nn.Module):
    """Paints its feature as the height of two patterns."""

    def __init__(self):
        super().__init__()
        self.patterns = nn.Parameter(torch.stack([PATTERN, PATTERN.flip(-1)]))

    def forward(self, feature):
        return torch.einsum("nk,kcfb->ncfb", feature, self.patterns)


def examples(count=50):
    """Features whose two numbers go together; Painter takes two."""
    first = torch.randn(count, generator=torch.Generator().manual_seed(2))
    other = torch.randn(count, generator=torch.Generator().manual_seed(3))
    return torch.stack([first, 5 + 0.5 * first + 0.1 * other], dim=1)


@pytest.mark.parametrize("components", [1, 2, 9])
def test_through_an_inverter_the_feature_stays_among_those_of_examples(components):
    """With a linear unit and inverter, f = m + k C a / (2 w s): a says what each number is worth, C is the covariance
    of the k components."""
    painter, features, weight, scale = Painter().eval(), examples(), 0.5, 50.0
    found = maximise_through(
        painter,
        likes_the_pattern,
        features,
        features[:2],
        components=components,
        passes=600,
        weight=weight,
        scale=scale,
    )
    worth, k = likes_the_pattern(painter.patterns.detach()), min(components, 2)
    values, axes = torch.linalg.eigh(torch.cov(features.T))
    covariance = axes[:, -k:] @ torch.diag(values[-k:]) @ axes[:, -k:].T
    with torch.no_grad():
        expected = painter((features.mean(dim=0) + k * covariance @ worth / (2 * weight * scale))[None])
    torch.testing.assert_close(found.pictures, expected.expand(2, 1, 6, 8), atol=2e-2, rtol=1e-2)
    torch.testing.assert_close(found.activations[-1], likes_the_pattern(found.pictures), atol=0.1, rtol=1e-3)
    assert painter.patterns.requires_grad and painter.patterns.grad is None, "the inverter is left as it was"


def test_what_never_varies_stays_even_where_the_start_is_elsewhere():
    features = examples()
    features[:, 0] = 3.0
    found = maximise_through(Painter().eval(), likes_the_pattern, features, features[:1] + 1, weight=0.0)
    first, second = torch.linalg.lstsq(Painter().patterns.detach().flatten(1).T, found.pictures.flatten()).solution
    assert first == pytest.approx(3, abs=1e-3) and second > features[0, 1] + 1, "the other has moved on"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"features": examples()[:1]}, "two or more"),
        ({"features": examples()[:1].expand(7, -1)}, "All 7 features are the same"),
        ({"weight": -1.0}, "weight is -1.0"),
        ({"components": 0}, "components is 0"),
        ({"inverter": Painter().train()}, "training mode"),
        (
            {"start": torch.stack([examples()[0], torch.full((2,), float("nan"))])},
            r"activation of picture 1 or its gradient is not finite\. .*a lower rate",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    usual = {"inverter": Painter().eval(), "activation": likes_the_pattern, "features": examples()}
    with pytest.raises(OptimisationError, match=message):
        maximise_through(**(usual | {"start": examples()[:1], "passes": 2} | change))
