"""Networks of a stranger: what svdlib must open without knowing them, and sounds for them to hear."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class PlainCNN(nn.Module):
    """Convolutions, poolings and dense layers over spectrograms (1, 96, 64)."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3), nn.Conv2d(16, 24, 3)
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.fc, self.out = nn.Linear(24 * 20 * 12, 32), nn.Linear(32, 2)

    def forward(self, x):
        x = self.pool1(F.relu(self.conv1(x)))
        x = self.pool2(F.relu(self.conv2(x)))
        x = F.relu(self.conv3(x))
        return self.out(F.relu(self.fc(x.flatten(1))))


class Residual(nn.Module):
    """Two convolutions around which the input also goes straight on."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding="same", bias=False)
        self.norm = nn.GroupNorm(4, n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.straight = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x):
        y = self.conv2(F.gelu(self.norm(self.conv1(x))))
        y += self.straight(x)
        return F.silu(y)


class ResidualGRU(nn.Module):
    """Residual blocks and a recurrent layer over spectrograms (1, 96, 64), 24 steps in time."""

    def __init__(self):
        super().__init__()
        self.res1, self.res2 = Residual(1, 8), Residual(8, 16)
        self.gru = nn.GRU(16 * 16, 24, batch_first=True)
        self.out = nn.Linear(24, 2)

    def forward(self, x):
        x = F.avg_pool2d(self.res1(x), 2)
        x = F.max_pool2d(self.res2(x), 2)
        x, _ = self.gru(x.permute(0, 2, 1, 3).flatten(2))
        return self.out(x.mean(1))


class WaveNet(nn.Module):
    """Strided convolutions over waveforms (1, 512)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 9, stride=2, padding=4)
        self.conv2 = nn.Conv1d(16, 24, 5, stride=2, padding=2)
        self.conv3 = nn.Conv1d(24, 24, 5, padding="same")
        self.pool, self.out = nn.AdaptiveAvgPool1d(1), nn.Linear(24, 2)
        self.active = nn.PReLU()

    def forward(self, x):
        x = F.max_pool1d(self.active(self.conv1(x)), 2)
        x = self.conv3(F.gelu(self.conv2(x)))
        return self.out(self.pool(F.relu(x)).squeeze(-1))


def spectrograms(count, seed=0):
    """Standardised pictures (count, 1, 96, 64) of a few harmonics that glide, soft or loud, bright or dull."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(low, high):
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    time, band = torch.arange(96.0)[None, :, None], torch.arange(64.0)[None, None, :]
    base = drawn(4, 14) + drawn(-4, 8) * time / 96 + 1.5 * torch.sin(time / drawn(3, 9))
    x = sum(drawn(0.4, 1) * torch.exp(-0.5 * ((band - step * base) / 1.5) ** 2) for step in (1, 2, 3, 4))
    x = x * (torch.sin(time / drawn(5, 15) + drawn(0, 6)) > -0.3)
    x = x + drawn(-0.5, 0.5) + drawn(-0.5, 0.5) * (band / 32 - 1)
    return ((x - x.mean()) / x.std())[:, None]


def waveforms(count, seed=0):
    """Standardised sounds (count, 1, 512): two sines each, with an onset."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(low, high):
        return low + (high - low) * torch.rand(count, 1, generator=generator)

    time = torch.arange(512.0)[None]
    sines = [drawn(0.3, 1) * torch.sin(time / drawn(4, 25) + drawn(0, 2 * math.pi)) for _ in range(2)]
    x = sum(sines) * (time > drawn(0, 300))
    return ((x - x.mean()) / x.std())[:, None]
