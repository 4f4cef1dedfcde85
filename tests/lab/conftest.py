"""Every figure that a test draws must hold on a phone too."""

from itertools import combinations

import pytest
from matplotlib.text import Text

from svdlib.lab.figures.style import Drawing, smallest_letter

SMALLEST = 9
"""CSS pixels, on a page 390 pixels wide."""


@pytest.fixture(autouse=True)
def letters_can_be_read_on_a_phone(monkeypatch):
    """Draw each figure of a test a second time, for a phone, and measure its letters."""
    made = []

    def remembered(figure, *args, plain=Drawing.__init__, **settings):
        plain(figure, *args, **settings)
        made.append(figure)

    monkeypatch.setattr(Drawing, "__init__", remembered)
    yield
    for figure in [each for each in made if each.narrow]:
        figure.draw_without_rendering()
        assert not crowded(figure), figure_text(figure)
        narrow = figure.narrow()
        narrow.draw_without_rendering()
        assert smallest_letter(narrow) >= SMALLEST, figure_text(narrow)
        assert not cut_off(narrow)
        assert not crowded(narrow), figure_text(narrow)


def figure_text(figure):
    """What is written in a figure, to tell which one it is."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def cut_off(figure):
    """What is written beyond the edges; numbers at axes are left out, since some of them are not drawn."""
    axes = [axis for each in figure.axes for axis in (each.xaxis, each.yaxis)]
    ticks = [label for axis in axes for label in axis.get_ticklabels(which="both")]
    page = figure.bbox.padded(2)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = {text.get_text(): text.get_window_extent() for text in texts if text not in ticks}
    return [text for text, box in boxes.items() if box.x0 < page.x0 or box.x1 > page.x1 or box.y1 > page.y1]


def crowded(figure):
    """Neighbouring names that run into each other: at the edges of axes, and titles above them."""
    seen = [axes for axes in figure.axes if axes.get_visible()]
    rows = [
        axis.get_ticklabels(which="both") for axes in seen for axis in (axes.xaxis, axes.yaxis) if axis.get_visible()
    ]
    rows.append([title for axes in seen for title in axes.findobj(Text) if title.get_text() in titles_of(axes)])
    found = []
    for names in rows:
        # Of names that are turned, the boxes meet and the letters don't.
        shown = [
            each for each in names if each.get_visible() and each.get_text().strip() and not each.get_rotation() % 90
        ]
        boxes = sorted(((each.get_window_extent(), each.get_text()) for each in shown), key=lambda pair: pair[0].x0)
        for (one, name), (other, neighbour) in combinations(boxes, 2):
            if one.x1 > other.x0 and one.y1 > other.y0 and other.y1 > one.y0:
                found.append((name, neighbour))
    return found


def titles_of(axes):
    """What stands above axes, at the left or in the middle."""
    return [axes.get_title(loc=loc) for loc in ("left", "center")]
