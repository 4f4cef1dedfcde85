"""Progress bars: tqdm where it is installed, the bare iterable on a machine with only torch and NumPy."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(
    iterable: Iterable[Item], *, description: str, total: int | None = None, unit: str = "it"
) -> Iterator[Item]:
    """Iterate while showing on stderr what is being done and how long is left.

    Of several processes that train together only the leader shows it.

    Args:
        iterable: what to iterate over.
        description: what is being done, in two or three words.
        total: number of items, where `len(iterable)` does not tell.
        unit: name of one item.
    """
    from svdlib.compute.distributed import leads

    try:
        from tqdm import tqdm
    except ImportError:
        yield from iterable
        return
    # Said only where it differs: the default can also be set from the environment.
    silence = {} if leads() else {"disable": True}
    yield from tqdm(iterable, desc=description, total=total, unit=unit, dynamic_ncols=True, **silence)
