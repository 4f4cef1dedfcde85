"""Slow rewrites of the networks' parts in float64 NumPy, from the definitions, to check the fast ones against."""

import numpy as np

from svdlib.audio.spectra import N_BINS


def double(tensor):
    return tensor.detach().cpu().numpy().astype(np.float64)


def leaky(x, slope=0.01):
    return np.where(x > 0, x, slope * x)


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def convolve(x, weight, bias=0.0, padding=0):
    """Correlate maps (channels, time, frequency) with kernels (out, in, 3, 3)."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    height, width = x.shape[1] - 2, x.shape[2] - 2
    total = np.zeros((len(weight), height, width))
    for row in range(3):
        for column in range(3):
            seen = x[:, row : row + height, column : column + width]
            total += np.tensordot(weight[:, :, row, column], seen, axes=1)
    return total + np.reshape(bias, (-1, 1, 1))


def pool(x, size=3):
    """Largest of each size x size block, incomplete blocks dropped."""
    channels, height, width = x.shape
    rows, columns = height // size, width // size
    return np.array(
        [
            [
                [x[c, size * i : size * i + size, size * j : size * j + size].max() for j in range(columns)]
                for i in range(rows)
            ]
            for c in range(channels)
        ]
    )


def up_convolve(x, weight, bias=0.0):
    """Each cell stamps its 4x4 kernel, two cells further per step; one cell is cut off all round."""
    _, height, width = x.shape
    total = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    for row in range(4):
        for column in range(4):
            stamp = np.tensordot(weight[:, :, row, column].T, x, axes=1)
            total[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += stamp
    return total[:, 1:-1, 1:-1] + np.reshape(bias, (-1, 1, 1))


def normalise(x, scale, shift, mean, variance, epsilon=1e-4):
    shape = (-1,) + (1,) * (x.ndim - 1)
    scaled = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + epsilon)
    return scaled * scale.reshape(shape) + shift.reshape(shape)


# --- as Lasagne computes: kernels are flipped, the deviation is stored as its inverse ---


def true_convolve(x, kernels, padding=0):
    """Convolve maps (channels, time, frequency) with kernels (out, in, 3, 3): the kernel runs against the map."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    height, width = x.shape[1] - 2, x.shape[2] - 2
    total = np.zeros((len(kernels), height, width))
    for row in range(3):
        for column in range(3):
            seen = x[:, 2 - row : 2 - row + height, 2 - column : 2 - column + width]
            total += np.tensordot(kernels[:, :, row, column], seen, axes=1)
    return total


def adjoint_up_convolve(x, kernels):
    """The transpose of a true convolution with kernels (in, out, 4, 4), stride 2 and padding 1, as a linear map."""
    _, height, width = x.shape
    total = np.zeros((kernels.shape[1], 2 * height + 2, 2 * width + 2))
    for row in range(4):
        for column in range(4):
            stamp = np.tensordot(kernels[:, :, row, column].T, x, axes=1)
            total[:, 3 - row : 3 - row + 2 * height : 2, 3 - column : 3 - column + 2 * width : 2] += stamp
    return total[:, 1:-1, 1:-1]


def normalise_by_inverse(x, beta, gamma, mean, inverse_deviation):
    along = (-1,) + (1,) * (x.ndim - 1)
    beta, gamma, mean, inverse_deviation = (v.reshape(along) for v in (beta, gamma, mean, inverse_deviation))
    return (x - mean) * inverse_deviation * gamma + beta


def slow_scaling(spectrum, pitch, stretch, frames):
    """Cell by cell in float64: read at fractional positions, nothing beyond the ends."""

    def read(values, position):
        if not 0 <= position <= len(values) - 1:
            return 0 * values[0]
        below = min(int(position), len(values) - 2)
        share = position - below
        return (1 - share) * values[below] + share * values[below + 1]

    spectrum, middle = spectrum.astype(np.float64), (len(spectrum) - 1) / 2
    rows = [read(spectrum, middle + (frame - (frames - 1) / 2) / stretch) for frame in range(frames)]
    return np.array([[read(row, bin_ / pitch) for bin_ in range(N_BINS)] for row in rows])
