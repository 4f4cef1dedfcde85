"""Progress bars: tqdm where it is installed, the bare iterable on a machine with only torch and NumPy."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(
    iterable: Iterable[Item], *, description: str, total: int | None = None, unit: str = "it", beyond: int = 0
) -> Iterator[Item]:
    """Iterate while showing on stderr what is being done and how long is left.

    Of several processes that train together only the leader shows it.

    Args:
        iterable: what to iterate over.
        description: what is being done, in two or three words.
        total: number of items, where `len(iterable)` does not tell.
        unit: name of one item.
        beyond: how many more items of the same kind follow after these, as in later epochs; where there are any, the
            time left for all of them is shown too.
    """
    from svdlib.compute.distributed import leads

    try:
        from tqdm import tqdm
    except ImportError:
        yield from iterable
        return
    # Said only where it differs: the default can also be set from the environment.
    silence = {} if leads() else {"disable": True}
    bar = tqdm(iterable, desc=description, total=total, unit=unit, dynamic_ncols=True, **silence)
    begun = time.monotonic()
    for done, item in enumerate(bar, start=1):
        yield item
        if beyond and bar.total:
            left = (time.monotonic() - begun) / done * (bar.total - done + beyond)
            bar.set_postfix_str(f"{duration(left)} left in all", refresh=False)


def duration(seconds: float) -> str:
    """A length of time as people say it, in the two largest units: "3 d 4 h", "2 h 31 min", "7 min"."""
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
