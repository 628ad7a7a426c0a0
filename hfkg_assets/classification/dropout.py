"""Dropout from few random bits: torch's own draws a number per value, which here costs more than
the product before it.

Imports torch at module level: import this module only where a network is really used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

DIGITS = 8
"""Binary digits of a rate: dropout rates are multiples of 1/256."""

LANES = 0x0101010101010101
"""The lowest bit of each byte of a word."""


def kept_share(rate: float) -> float:
    """The share of values that is kept: 1 - rate, to the nearest 1/256, and never 0."""
    return max(1, round((1 - rate) * 2**DIGITS)) / 2**DIGITS


def random_mask(size: int, share: float) -> Tensor:
    """Independent random booleans, true with the given probability, a multiple of 1/256.

    Each bit of a word is a draw of its own. The share's binary digits are gone through from the
    lowest: "or" with a fair bit takes the probability p so far to 1/2 + p/2, "and" to p/2. Draws
    from torch's generator, which `torch.manual_seed` seeds.

    Returns:
        Tensor: bool [size].
    """
    words = -(-size // 64)
    digits = round(share * 2**DIGITS)
    if digits >= 2**DIGITS:
        return torch.ones(size, dtype=torch.bool)
    bits = torch.zeros(words, dtype=torch.int64)
    for digit in range(DIGITS):
        if digits >> digit & 1:
            bits |= _fair_bits(words)
        elif digits & ((1 << digit) - 1):
            bits &= _fair_bits(words)
    lanes = torch.stack([(bits >> shift).bitwise_and_(LANES) for shift in range(8)])
    return lanes.view(-1).view(torch.bool)[:size]


def _fair_bits(words: int) -> Tensor:
    return torch.empty(words, dtype=torch.int64).random_(-(2**63), None)


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """Each value dropped with probability `rate`, the others scaled up, in training."""
    if not training or rate == 0:
        return values
    share = kept_share(rate)
    mask = random_mask(values.numel(), share).view(values.shape)
    return values * mask * (1 / share)


def rectify_and_drop(values: Tensor, rate: float, training: bool) -> Tensor:
    """`dropout(relu(values))`, in fewer passes: what is zero after both has no gradient."""
    if not training or rate == 0:
        return torch.relu(values)
    return _RectifyAndDrop.apply(values, kept_share(rate))


class _RectifyAndDrop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:
        mask = random_mask(values.numel(), share).view(values.shape)
        result = torch.relu(values).mul_(mask).mul_(1 / share)
        ctx.share = share
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        passed = torch.ops.aten.threshold_backward(gradient, result, 0)
        return passed.mul_(1 / ctx.share), None
