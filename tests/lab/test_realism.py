"""The distance from real excerpts: statistics by hand, and what must be far and what near."""

import pytest
import torch

from svdlib.errors import CorpusError
from svdlib.lab.analysis.realism import SMALLEST, STATISTICS, RealExcerpts, surface_statistics, times_as_rough


def textures(count, seed, scale=1.0):
    """Noise that is smooth in time, whose level and strength differ from picture to picture."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 1, 115 + 4, 80, generator=generator).unfold(2, 5, 1).mean(dim=-1)
    level, strength = torch.randn(2, count, 1, 1, 1, generator=generator)
    return scale * (1 + 0.1 * strength) * values + 0.1 * level


def test_statistics_worked_out_by_hand():
    picture = torch.zeros(1, 1, 4, 3)
    picture[0, 0, :, 1] = torch.tensor([0.0, 2.0, 0.0, 2.0])
    level, spread, in_time, across = surface_statistics(picture).values()
    assert level.tolist() == [[0, 1, 0]]
    assert spread.exp().tolist() == [[pytest.approx(SMALLEST), pytest.approx(1), pytest.approx(SMALLEST)]]
    assert float(in_time[0, 1].exp()) == pytest.approx(2)
    assert across.exp().tolist() == [[pytest.approx(2**0.5)] * 2]


def test_excerpts_of_the_same_kind_lie_at_one():
    judge = RealExcerpts(textures(400, seed=0))
    for name, distance in judge.distances(textures(400, seed=1)).items():
        assert float(distance.square().mean()) == pytest.approx(1, abs=0.1), name


def test_each_statistic_notices_what_it_is_for():
    judge, x = RealExcerpts(textures(400, seed=0)), textures(20, seed=1)
    near = judge.distances(x)
    shuffled = judge.distances(x[:, :, torch.randperm(115, generator=torch.Generator().manual_seed(0))])
    for name in ("level", "spread", "change across bands"):
        torch.testing.assert_close(shuffled[name], near[name])
    assert (shuffled["change in time"] > 3 * near["change in time"]).all(), "the same frames, in another order"
    louder = judge.distances(x + 2)
    assert (louder["level"] > 10 * near["level"].mean()).all()
    torch.testing.assert_close(louder["spread"], near["spread"], atol=1e-4, rtol=0)
    for changed in (3 * x, 0.3 * x, torch.randn(20, 1, 115, 80, generator=torch.Generator().manual_seed(2))):
        assert (judge.distances(changed)["all"] > 3).all(), "too strong, too blurred, and noise are all far"


def test_roughness_is_a_ratio_to_the_original():
    x = textures(3, seed=0)
    torch.testing.assert_close(times_as_rough(x, 2 * x + 5), torch.full((3,), 2.0).double(), atol=1e-4, rtol=0)
    mixed = torch.cat([2 * x[..., :40], 0.5 * x[..., 40:]], dim=-1)
    torch.testing.assert_close(times_as_rough(x, mixed), torch.ones(3).double(), atol=1e-4, rtol=0)
    noise = torch.randn(3, 1, 115, 80, generator=torch.Generator().manual_seed(1))
    assert (times_as_rough(x, noise) > 2).all() and (times_as_rough(noise, x) < 0.5).all()


def test_the_whole_is_the_root_mean_square_of_its_parts():
    found = RealExcerpts(textures(50, seed=0)).distances(textures(3, seed=1))
    parts = torch.stack([found[name] for name in STATISTICS])
    torch.testing.assert_close(found["all"] ** 2, (parts**2).mean(dim=0))


def test_excerpts_that_are_all_alike_are_refused():
    with pytest.raises(CorpusError, match="level"):
        RealExcerpts(textures(1, seed=0).repeat(3, 1, 1, 1))
