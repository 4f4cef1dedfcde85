"""The layer explorer: choose an excerpt, step through the layers, see and hear what each has kept.

All panels are made beforehand and the controls are linked to them in the browser. So it works in a notebook as well as
in a static page that has no kernel.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from svdlib.errors import LayerError
from svdlib.gallery import SHEET, Panel

if TYPE_CHECKING:
    from ipywidgets import VBox


def layer_explorer(
    excerpts: Mapping[str, Sequence[Panel]],
    steps: Sequence[str],
    *,
    menu_label: str = "Excerpt",
    steps_label: str = "Layer",
) -> "VBox":
    """Build the explorer.

    Args:
        excerpts: per excerpt, by the name it has in the menu, a panel per step.
        steps: what the buttons are called, such as "original", "Conv1", ..., "FC8".
        menu_label: what stands before the menu.
        steps_label: what stands before the buttons.

    Returns:
        A widget with a menu, a row of buttons and the panel that they choose.

    Raises:
        LayerError: if there is no excerpt, or one has not exactly one panel per step.
    """
    import ipywidgets as widgets

    if not excerpts:
        raise LayerError("The explorer has no excerpt to show; give it one or more.")
    for name, panels in excerpts.items():
        if len(panels) != len(steps):
            raise LayerError(f"Excerpt {name!r} has {len(panels)} panels for {len(steps)} steps: {', '.join(steps)}.")
    wide = widgets.Layout(width="100%", max_width="30rem")
    menu = widgets.Dropdown(options=list(excerpts), description=menu_label, layout=wide)
    # Buttons, not a slider: each can be reached by keyboard and is read out by its name.
    buttons = widgets.ToggleButtons(options=list(steps), description=steps_label, style={"button_width": "auto"})
    stacks = [
        widgets.Stack([widgets.HTML(SHEET + panel.html()) for panel in panels], selected_index=0)
        for panels in excerpts.values()
    ]
    chosen = widgets.Stack(stacks, selected_index=0)
    widgets.jslink((menu, "index"), (chosen, "selected_index"))
    for stack in stacks:
        widgets.jslink((buttons, "index"), (stack, "selected_index"))
    return widgets.VBox([menu, buttons, chosen])
