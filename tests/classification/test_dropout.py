"""Dropout from few random bits: the rate, the expectation, the gradient, the seed."""

import pytest
import torch

from hfkg_assets.classification.dropout import dropout, kept_share, random_mask, rectify_and_drop

SIZE = 200_003


@pytest.mark.parametrize("share", [1 / 256, 0.25, 0.5, 77 / 256, 0.8984375, 255 / 256])
def test_a_mask_holds_the_share_asked_for(share):
    torch.manual_seed(0)
    kept = random_mask(SIZE, share).double().mean().item()
    deviation = (share * (1 - share) / SIZE) ** 0.5
    assert abs(kept - share) < 4 * deviation


def test_the_places_of_a_mask_are_independent():
    torch.manual_seed(0)
    mask = random_mask(SIZE, 0.5).double() - 0.5
    for distance in (1, 7, 8, 63, 64, 256, SIZE // 64 * 8):
        correlation = 4 * (mask[distance:] * mask[:-distance]).mean().item()
        assert abs(correlation) < 4 / (SIZE - distance) ** 0.5, distance


def test_two_masks_differ_and_a_seed_repeats_them():
    torch.manual_seed(1)
    first, second = random_mask(SIZE, 0.5), random_mask(SIZE, 0.5)
    torch.manual_seed(1)
    assert torch.equal(random_mask(SIZE, 0.5), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 0.999])
def test_the_expected_value_is_the_value(rate):
    torch.manual_seed(0)
    values = torch.ones(SIZE, dtype=torch.float32)
    dropped = dropout(values, rate, training=True)
    share = kept_share(rate)
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / share).item()}
    deviation = ((1 - share) / share / SIZE) ** 0.5
    assert abs(dropped.double().mean().item() - 1) < 4 * deviation


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5])
def test_rectifying_and_dropping_at_once_is_one_after_the_other(rate):
    values = torch.randn(300, 40, generator=torch.Generator().manual_seed(2))
    left, right = values.clone().requires_grad_(), values.clone().requires_grad_()
    torch.manual_seed(3)
    got = rectify_and_drop(left, rate, training=True)
    torch.manual_seed(3)
    expected = dropout(torch.relu(right), rate, training=True)
    torch.testing.assert_close(got, expected)
    weights = torch.randn(got.shape)
    (got * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(left.grad, right.grad)


def test_nothing_is_dropped_but_in_training():
    values = torch.randn(50, 8)
    assert torch.equal(dropout(values, 0.5, training=False), values)
    assert torch.equal(rectify_and_drop(values, 0.5, training=False), torch.relu(values))
