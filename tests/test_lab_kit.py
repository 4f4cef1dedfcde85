"""The assessed lab: full points for the key, none for the untouched worksheet, a part for what is partly right."""

import csv

import jupytext
import nbformat
import numpy as np
import pytest
import torch

import chapters
import lab_kit
import svdlib
from svdlib.pages import grading


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    return folder, lab_kit.write_kit(folder)


def read(folder, kind, name):
    return nbformat.read(folder / kind / name / f"{name}.ipynb", 4)


def marked(notebook):
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


def test_the_kit_is_a_course_with_the_lab_and_all_chapters(kit):
    folder, items = kit
    names = {"lab", *(source.stem for source in chapters.chapter_sources())}
    for kind in ("source", "release"):
        assert {path.name for path in (folder / kind).iterdir()} == names
    of_lab = [item for item in items if item.notebook == "lab"]
    assert sum(item.points for item in of_lab if item.by == "check") == 34
    assert sum(item.points for item in of_lab if item.by == "hand") == 10
    with (folder / "points.csv").open(encoding="utf-8", newline="") as file:
        assert [row["cell"] for row in csv.DictReader(file)] == [item.cell for item in items]
    rubric = (folder / "rubric.md").read_text(encoding="utf-8")
    assert "one claim, one figure" in rubric and all(f"`{item.cell}`" in rubric for item in of_lab)


def test_cells_are_marked_as_nbgrader_marks_them(kit):
    folder, _ = kit
    for path in sorted(folder.glob("*/*/*.ipynb")):
        notebook = nbformat.read(path, 4)
        ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]
        assert len(ids) == len(set(ids)) > 3
        for cell in marked(notebook).values():
            marks = cell.metadata.nbgrader
            assert marks.schema_version == 3 and marks.cell_type == cell.cell_type and marks.task is False
            assert ("points" in marks) == marks.grade
            assert marks.locked != marks.solution  # what a student fills in, or what is given


def test_students_get_neither_solutions_nor_what_is_said_of_them(kit):
    folder, _ = kit
    for name in ("lab", "03_training"):
        release, source = read(folder, "release", name), read(folder, "source", name)
        text = "\n".join(cell.source for cell in release.cells)
        assert "SOLUTION" not in text and "HIDDEN" not in text and "solutions are folded" not in text
        answers = [cell for cell in marked(source).values() if cell.metadata.nbgrader.solution]
        assert answers and all("### BEGIN SOLUTION" in cell.source for cell in answers)
        assert list(marked(release)) == list(marked(source))
    assert "of_input + weight * of_feature" in str(read(folder, "source", "lab"))


def test_the_exercises_of_the_lab_are_in_no_page(kit):
    folder, _ = kit
    lab = [each.label for each in chapters.find_exercises("lab", jupytext.read(lab_kit.LAB))]
    assert len(lab) == 6
    pages = [*chapters.chapter_sources(), *(chapters.ROOT / "book").glob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    assert not [label for label in lab if label in text]
    assert "lab" not in (chapters.ROOT / "_toc.yml").read_text(encoding="utf-8").replace("book/api/lab", "")


WRONG = {
    # The step of the layers below is forgotten: right for one layer, wrong for several.
    "exercise-lab-cells": """
def cells_that_see(frame, layers, cells):
    width, shift = 1, 1
    for window, step in layers:
        width, shift = width + window - 1, shift * step
    return [i for i in range(cells) if shift * i <= frame < shift * i + width]
""",
    # As in the released code: the value is right, and the feature loss teaches nothing.
    "exercise-lab-loss": """
def loss_of_equation(x, x_hat, theta, weight):
    return ((x - x_hat) ** 2).sum() + weight * ((theta(x) - theta(x_hat.detach())) ** 2).sum()
""",
    # The logit is reached by a single number of the 64, which is a longer way.
    "exercise-lab-shortest": """
def shortest(feature, weights, bias, wanted):
    found = feature.clone()
    largest = weights.abs().argmax()
    found[largest] += (wanted - weights @ feature - bias) / weights[largest]
    return found
""",
}
PARTS = {"exercise-lab-cells": [2, 0], "exercise-lab-loss": [3, 0], "exercise-lab-shortest": [4, 0]}


def grade(folder, notebook, tmp_path):
    nbformat.write(notebook, tmp_path / "lab.ipynb")
    return grading.grade(tmp_path / "lab.ipynb", folder / "source" / "lab" / "lab.ipynb", seconds=600)


def points(marks, exercise=""):
    return [mark.points for mark in marks if mark.cell.startswith(exercise) and not mark.by_hand]


@pytest.mark.slow
def test_the_key_has_full_points_the_untouched_sheet_none_and_three_wrong_answers_a_part(kit, tmp_path):
    folder, items = kit
    full = [item.points for item in items if item.notebook == "lab" and item.by == "check"]
    of_key = grade(folder, read(folder, "source", "lab"), tmp_path)
    assert points(of_key) == full and grading.all_right(of_key)

    untouched = grade(folder, read(folder, "release", "lab"), tmp_path)
    assert points(untouched) == [0] * len(full) and not grading.all_right(untouched)

    partly = read(folder, "source", "lab")
    for exercise, answer in WRONG.items():
        marked(partly)[exercise].source = answer
    marks = grade(folder, partly, tmp_path)
    assert {exercise: points(marks, exercise) for exercise in PARTS} == PARTS
    assert sum(points(marks)) == sum(full) - 2 - 3 - 4 and not grading.all_right(marks)


@pytest.fixture(scope="module")
def answers():
    """The answers of the key, as functions."""
    names = {"np": np, "torch": torch, "svdlib": svdlib}
    for exercise in chapters.find_exercises("lab", jupytext.read(lab_kit.LAB)):
        exec(exercise.solution.source, names)
    return names


def test_the_cells_that_see_a_frame_are_those_that_its_gradient_reaches(answers):
    torch.manual_seed(0)
    layers = [(3, 1), (3, 1), (3, 3), (4, 2)]
    x = torch.zeros(1, 1, 115, requires_grad=True)
    # Means over windows: each cell depends on all frames that it sees.
    seen = x
    for window, step in layers:
        seen = torch.nn.functional.avg_pool1d(seen, window, step)
    cells = seen.shape[-1]
    slopes = [torch.autograd.grad(seen[0, 0, cell], x, retain_graph=True)[0][0, 0] != 0 for cell in range(cells)]
    for frame in (0, 1, 40, 77, 113, 114):
        assert answers["cells_that_see"](frame, layers, cells) == [k for k in range(cells) if slopes[k][frame]]


def test_the_shortest_way_is_no_longer_than_what_a_search_finds(answers):
    generator = torch.Generator().manual_seed(3)
    feature, weights = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    found = answers["shortest"](feature, weights, 0.3, 2.0)
    assert float(weights @ found + 0.3) == pytest.approx(2.0)
    others = feature + torch.randn(20000, 5, generator=generator, dtype=torch.float64)
    others += ((2.0 - 0.3 - others @ weights) / (weights @ weights))[:, None] * weights  # onto the plane
    assert (others - feature).norm(dim=1).min() >= (found - feature).norm() - 1e-9


def test_the_yardstick_between_songs_is_a_mean_over_pairs_by_loops(answers):
    generator = torch.Generator().manual_seed(1)
    x, painted = torch.randn(2, 7, 1, 3, 2, generator=generator, dtype=torch.float64)
    songs = np.array([2, 0, 2, 1, 0, 2, 5])
    between = [float((x[i] - x[j]).norm()) for i in range(7) for j in range(7) if songs[i] != songs[j]]
    far = np.mean([float((x[i] - painted[i]).norm()) for i in range(7)])
    assert float(answers["nre_between_songs"](x, painted, songs)) == pytest.approx(far / np.mean(between))


def test_one_threshold_by_trying_each(answers):
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, 2, size) for size in (40, 7)]
    curves = [np.clip(label * 0.3 + rng.random(len(label)) * 0.7, 0, 1) for label in labels]
    right = [
        sum(int((p > t / 100) == bool(s)) for curve, label in zip(curves, labels, strict=True)
            for p, s in zip(curve, label, strict=True))
        for t in range(101)
    ]  # fmt: skip
    assert answers["common_threshold"](curves, labels) == right.index(max(right)) / 100
