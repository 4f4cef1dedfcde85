"""The explorer's controls are linked in the browser, so that it works without a kernel."""

import numpy as np
import pytest
from ipywidgets.embed import embed_data

from svdlib.audio import LogMel
from svdlib.errors import LayerError
from svdlib.explorer import layer_explorer
from svdlib.gallery import Panel

STEPS = ["original", "Conv1", "FC8"]


@pytest.fixture(scope="module")
def panel():
    return Panel("A tone", LogMel()(np.sin(np.arange(40_000) / 10)))


@pytest.fixture(scope="module")
def explorer(panel):
    return layer_explorer({"A: vocal": [panel] * 3, "B: non-vocal": [panel] * 3}, STEPS)


def test_menu_buttons_and_one_panel_per_choice(explorer):
    menu, buttons, chosen = explorer.children
    assert menu.options == ("A: vocal", "B: non-vocal")
    assert buttons.options == tuple(STEPS)
    assert [len(stack.children) for stack in chosen.children] == [3, 3]
    assert (chosen.selected_index, [stack.selected_index for stack in chosen.children]) == (0, [0, 0])
    assert all("<audio" in page.value and "alt=" in page.value for stack in chosen.children for page in stack.children)


def test_a_page_without_a_kernel_has_all_it_needs(explorer):
    state = embed_data(views=[explorer])["manager_state"]["state"]
    links = [model["state"] for model in state.values() if model["model_name"] == "LinkModel"]
    menu, buttons, chosen = explorer.children

    def end(widget, trait):
        return [f"IPY_MODEL_{widget.model_id}", trait]

    expected = [(end(menu, "index"), end(chosen, "selected_index"))]
    expected += [(end(buttons, "index"), end(stack, "selected_index")) for stack in chosen.children]
    assert sorted((link["source"], link["target"]) for link in links) == sorted(expected)
    assert not any(model["model_name"] == "OutputModel" for model in state.values())


def test_the_controls_can_be_called_otherwise(panel):
    menu, buttons, _ = layer_explorer(
        {"pitch": [panel]}, ["lower"], menu_label="Change", steps_label="Strength"
    ).children
    assert (menu.description, buttons.description) == ("Change", "Strength")


def test_panels_and_steps_must_fit(panel):
    with pytest.raises(LayerError, match="no excerpt"):
        layer_explorer({}, STEPS)
    with pytest.raises(LayerError, match="'A' has 2 panels for 3 steps"):
        layer_explorer({"A": [panel] * 2}, STEPS)
