"""One update of a training loop, recorded as a CUDA graph and replayed: the GPU never waits for Python.

A small network's update is hundreds of short kernels, and to start them one by one takes longer than to compute them.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

WARM_UPS = 3
"""Updates before the capture. Libraries choose their kernels, and the optimiser makes its state, when first used."""


@contextmanager
def recording(device: torch.device) -> Iterator[torch.cuda.CUDAGraph]:
    """Record what the block asks a GPU to do, instead of doing it.

    Raises:
        RuntimeError: if the device cannot, or something in the block cannot be recorded.
    """
    if device.type != "cuda":
        raise RuntimeError(f"there are no CUDA graphs on {device}")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        yield graph


class CapturedUpdate:
    """An update that is done as written a few times, then recorded, and from then on replayed.

    Every call is one real update, in whichever way it is done, so results do not depend on the capture. Recording
    itself computes nothing. Where it fails, a warning says why once, and updates go on as written.

    Attributes:
        graph: the recorded update, or None before it is recorded and where it cannot be.
        failed: whether recording was tried in vain.
    """

    def __init__(self, update: Callable[[Tensor], None], device: torch.device) -> None:
        """Nothing is recorded yet.

        Args:
            update: what to do with a batch of indices (batch,), the same kernels on the same memory each time: it must
                not look at a value on the device, nor keep count in Python.
            device: where it computes.
        """
        self.update, self.device = update, device
        self.graph: torch.cuda.CUDAGraph | None = None
        self.failed = False
        self._warm_ups_left = WARM_UPS
        self._indices: Tensor | None = None

    def __call__(self, indices: Tensor) -> None:
        """Do one update.

        Args:
            indices: which excerpts (batch,), as many each time, on the device.
        """
        if self.failed:
            self.update(indices)
            return
        # What is recorded reads from this place for ever.
        self._indices = torch.empty_like(indices) if self._indices is None else self._indices
        self._indices.copy_(indices)
        if self.graph is None and self._warm_ups_left:
            self._warm_up(self._indices)
            return
        if self.graph is None:
            self.graph = self._record(self._indices)
        if self.graph is None:
            self.update(indices)
        else:
            self.graph.replay()

    def _warm_up(self, indices: Tensor) -> None:
        """Do one update as written, on a stream of its own as recording will; it counts."""
        self._warm_ups_left -= 1
        if self.device.type != "cuda":
            self.update(indices)
            return
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self.update(indices)
        torch.cuda.current_stream(self.device).wait_stream(stream)

    def _record(self, indices: Tensor) -> torch.cuda.CUDAGraph | None:
        """Record the update without doing it; None, and a warning, where that fails."""
        try:
            with recording(self.device) as graph:
                self.update(indices)
        except Exception as error:  # a CUDA build may fail in any way; training need not
            self.failed, self._indices = True, None
            reason = " ".join(str(error).split())[:300]
            warnings.warn(
                f"The update cannot be recorded as a CUDA graph, so training goes on without, more slowly ({reason}).",
                stacklevel=2,
            )
            return None
        return graph
