"""ONNX's own interpreter, in plain NumPy, with the one operation that it is too slow at written again."""

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


class ConvTranspose(OpRun):
    """A transposed convolution as a sum over the places of its kernel; ONNX's own loops over all numbers in Python."""

    op_domain = ""

    def _run(self, x, weights, bias=None, *, strides, pads, dilations, group, **_):
        """From `x` (batch, in, height, width) and `weights` (in, out, rows, columns)."""
        assert group == 1
        reach = [dilation * (size - 1) + 1 for dilation, size in zip(dilations, weights.shape[2:], strict=True)]
        height, width = (
            stride * (size - 1) + far for stride, size, far in zip(strides, x.shape[2:], reach, strict=True)
        )
        out = np.zeros((len(x), weights.shape[1], height, width), x.dtype)
        for row, column in np.ndindex(*weights.shape[2:]):
            above, left = dilations[0] * row, dilations[1] * column
            rows = slice(above, above + strides[0] * (x.shape[2] - 1) + 1, strides[0])
            columns = slice(left, left + strides[1] * (x.shape[3] - 1) + 1, strides[1])
            out[:, :, rows, columns] += np.einsum("nihw,io->nohw", x, weights[:, :, row, column], optimize=True)
        if bias is not None:
            out += bias[:, None, None]
        top, left, bottom, right = pads
        return (out[:, :, top : height - bottom, left : width - right],)


def interpreter(model) -> ReferenceEvaluator:
    """Open a model or a node, or the file of one."""
    return ReferenceEvaluator(model, new_ops=[ConvTranspose])
