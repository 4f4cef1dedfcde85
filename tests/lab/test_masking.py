"""Masks of exact area, controls that keep the form of blobs, and curves of detectors whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from svdlib.audio.mel_axis import LOG_SILENCE
from svdlib.audio.standardizer import Standardizer
from svdlib.errors import InputError
from svdlib.lab.analysis import masking

CELLS = 115 * 80


class Counter(nn.Module):
    """Its logit is the sum of an excerpt over some cells."""

    def __init__(self, cells):
        super().__init__()
        self.cells = cells

    def forward(self, x):
        return (x[:, 0] * self.cells).sum(dim=(1, 2))[:, None]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def maps_of_blobs(count=3, seed=0):
    """Smooth maps, so that masks of them have blobs."""
    noise = torch.randn(count, 1, 121, 86, generator=torch.Generator().manual_seed(seed))
    return nn.functional.avg_pool2d(noise, 7, stride=1)[:, 0]


@pytest.mark.parametrize("share", [0, 0.1, 1 / 3, 0.75, 1])
def test_a_mask_holds_exactly_its_share_and_no_cell_outside_is_higher(share):
    maps = maps_of_blobs()
    for values, mask in zip(maps, masking.top_cells(maps, share), strict=True):
        assert mask.sum() == round(share * CELLS)
        if 0 < share < 1:
            assert values[mask].min() >= values[~mask].max()


def test_any_rising_scale_gives_the_same_mask():
    maps = maps_of_blobs()
    normalised = (maps - maps.amin()) / (maps.amax() - maps.amin())
    assert torch.equal(masking.top_cells(maps, 0.2), masking.top_cells(normalised.double().exp(), 0.2))


def test_cells_of_equal_value_are_spread_over_the_excerpt_and_the_same_each_time():
    maps = torch.zeros(2, 115, 80)
    mask = masking.top_cells(maps, 0.5)
    assert (mask.flatten(1).sum(1) == CELLS // 2).all() and torch.equal(mask[0], mask[1])
    for part in (mask[0, :57], mask[0, 57:], mask[0, :, :40], mask[0, :, 40:]):
        assert part.double().mean() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(mask, masking.top_cells(maps, 0.5))


def test_wrong_shares_shapes_and_fills_are_refused():
    with pytest.raises(InputError, match="share 1.2"):
        masking.top_cells(maps_of_blobs(), 1.2)
    with pytest.raises(InputError, match="not \\(2, 1, 115, 80\\)"):
        masking.top_cells(torch.zeros(2, 1, 115, 80), 0.5)
    with pytest.raises(InputError, match="no fill 'noise'"):
        masking.fill_like(torch.zeros(1, 1, 115, 80), Standardizer(), "noise")
    with pytest.raises(InputError, match="come from one"):
        masking.swapped(maps_of_blobs(2), [4, 4])


def test_fills_are_the_mean_of_the_band_and_digital_silence():
    standardizer = Standardizer()
    standardizer.mean += torch.linspace(-8, -4, 80)
    standardizer.std *= 2
    x = torch.randn(2, 1, 115, 80)
    assert not masking.fill_like(x, standardizer, "mean").any()
    silence = standardizer.inverse(masking.fill_like(x, standardizer, "silence"))
    torch.testing.assert_close(silence, torch.full_like(x, LOG_SILENCE))
    mask = masking.top_cells(x[:, 0], 0.3)
    kept = masking.keep(x, mask, torch.full_like(x, -9.0))
    assert torch.equal(kept[:, 0][mask], x[:, 0][mask]) and (kept[:, 0][~mask] == -9).all()


def test_a_rolled_map_keeps_the_form_of_its_blobs_and_moves_far(generator):
    maps = maps_of_blobs(5)
    control = masking.rolled(maps, generator)
    before, after = (masking.top_cells(each, 0.2).double() for each in (maps, control))
    assert torch.equal(before.sum((1, 2)), after.sum((1, 2)))
    assert torch.equal(before.sum(1), after.sum(1)), "as many cells in each band"
    # All distances between cells of the mask, along time and from band to band, are in these products.
    spectra = [torch.fft.fft(each, dim=1) for each in (before, after)]
    products = [each.conj()[:, :, :, None] * each[:, :, None, :] for each in spectra]
    torch.testing.assert_close(products[0], products[1], atol=1e-8, rtol=1e-8)
    shifts = [next(k for k in range(115) if torch.equal(m.roll(k, 0), c)) for m, c in zip(maps, control, strict=True)]
    assert min(shifts) >= 28 and max(shifts) <= 87 and len(set(shifts)) > 2


def test_dust_has_no_blobs(generator):
    dust = masking.scattered(torch.zeros(4, 115, 80), generator)
    mask = masking.top_cells(dust, 0.2).double()
    neighbours = (mask[:, 1:] * mask[:, :-1]).mean()
    assert neighbours == pytest.approx(0.04, abs=0.005)
    blobs = masking.top_cells(maps_of_blobs(4), 0.2).double()
    assert (blobs[:, 1:] * blobs[:, :-1]).mean() > 0.1


def test_swapped_maps_come_from_the_next_excerpt_of_another_song():
    maps = torch.arange(5.0)[:, None, None].expand(5, 115, 80)
    assert masking.swapped(maps, [0, 0, 1, 1, 0])[:, 0, 0].tolist() == [2, 2, 4, 4, 2]


def test_curves_of_a_detector_that_counts_known_cells():
    cells = torch.zeros(115, 80)
    cells[:23, :40] = 1  # a tenth of all
    x = torch.ones(2, 1, 115, 80)
    knows, wrong = cells, 1 - cells
    curves = masking.masking_curves(
        Counter(cells), x, torch.stack([knows, wrong]), torch.zeros(1), shares=(0.1, 0.5, 0.9)
    )
    assert curves.shares == (0, 0.1, 0.5, 0.9, 1)
    assert curves.keeping[0].tolist() == [0, 920, 920, 920, 920]
    assert curves.removing[0].tolist() == [920, 0, 0, 0, 0]
    assert curves.keeping[1].tolist() == [0, 0, 0, 0, 920]
    assert curves.removing[1].tolist() == [920, 920, 920, 920, 0]
    areas = [masking.area_under(curves.shares, each) / 920 for each in (curves.keeping, curves.removing)]
    np.testing.assert_allclose(areas[0], [0.95, 0.05])
    np.testing.assert_allclose(areas[1], [0.05, 0.95])


def test_curves_start_and_end_at_the_excerpt_and_at_the_fill():
    detector = Counter(torch.rand(115, 80, generator=torch.Generator().manual_seed(1)))
    x, fill = torch.randn(3, 1, 115, 80), torch.full((3, 1, 115, 80), -0.5)
    curves = masking.masking_curves(detector, x, maps_of_blobs(), fill)
    whole, nothing = detector(x)[:, 0], detector(fill)[:, 0]
    for curve, (first, last) in ((curves.keeping, (nothing, whole)), (curves.removing, (whole, nothing))):
        torch.testing.assert_close(curve[:, 0], first)
        torch.testing.assert_close(curve[:, -1], last)
    # What is kept and what is removed add up, since the detector is linear.
    sums = curves.keeping + curves.removing
    torch.testing.assert_close(sums, (whole + nothing)[:, None].expand_as(sums), atol=1e-2, rtol=1e-4)


def test_how_sure_an_answer_is():
    logits = torch.tensor([[2.0, 0.0], [2.0, -30.0]])
    p = masking.answer_probability(logits, torch.tensor([True, False]))
    np.testing.assert_allclose(p, [[1 / (1 + np.exp(-2)), 0.5], [1 / (1 + np.exp(2)), 1]], rtol=1e-6)
