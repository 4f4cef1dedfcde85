"""Arrays that grow at their end while what goes into them is computed."""

from typing import Any

import numpy as np

GROWTH = 16  # an array without room grows by this part of itself: so much may be unused in the meantime
LEAST_GROWTH = 4096  # rows


class GrowingRows:
    """An array (rows, width) whose number of rows is not known before.

    It grows where it lies, so that it never takes the memory of two, as joined pieces would; nor do small pieces lie
    between large ones that are freed, and keep their memory from being used again. Systems that cannot let an array
    grow copy it now and then.
    """

    def __init__(self, width: int, dtype: type[np.floating[Any]]):
        self._rows = np.empty((0, width), dtype)
        self._count = 0

    def add(self, rows: np.ndarray) -> None:
        """Put rows (n, width) at the end."""
        needed = self._count + len(rows)
        if needed > len(self._rows):
            self._resize(needed + max(LEAST_GROWTH, len(self._rows) // GROWTH))
        self._rows[self._count : needed] = rows
        self._count = needed

    def rows(self) -> np.ndarray:
        """A view of what is there, good until more is added."""
        return self._rows[: self._count]

    def finish(self) -> np.ndarray:
        """All rows (rows, width); nothing can be put at their end any more."""
        self._resize(self._count)
        rows, self._rows = self._rows, self._rows[:0]
        return rows

    def _resize(self, rows: int) -> None:
        # Nobody looks at it any more where it lay.
        self._rows.resize((rows, self._rows.shape[1]), refcheck=False)
