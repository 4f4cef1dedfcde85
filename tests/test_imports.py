"""Training must run on a machine that has nothing but torch and NumPy."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import CHILDREN_PATH, ROOT

import svdlib

BLOCK_ALL_BUT_TORCH_AND_NUMPY = """
import sys, sysconfig, os
import numpy, torch, torch._dynamo  # with all that they bring along themselves

class Refuse:
    allowed = {"torch", "filelock", "numpy", "svdlib", "tiny", *sys.stdlib_module_names}  # torch requires filelock

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed:
            raise ModuleNotFoundError(f"{name} is not installed on this machine", name=name)

sys.meta_path.insert(0, Refuse())
for name in list(sys.modules):
    if name.partition(".")[0] in ("scipy", "librosa", "soundfile", "safetensors", "tqdm", "sklearn", "matplotlib"):
        del sys.modules[name]
"""

TRAIN = """
from pathlib import Path
import svdlib
import tiny
from svdlib.inversion.nre import EvaluationPlan

torch.set_num_threads(1)
folder = Path(sys.argv[1])
train, valid = tiny.songs(0, frames=150), tiny.songs(1, frames=150)
fitted = svdlib.fit_detector(
    train, valid, plan=svdlib.DetectorPlan(epochs=1, steps_per_epoch=1, batch_size=2), folder=folder / "detector"
)
banks = [svdlib.ExcerptBank(songs, standardizer=fitted.detector.standardizer) for songs in (train, valid)]
plan = svdlib.TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=1, validation_excerpts=2)
for resume in (False, True):
    inverters = svdlib.fit_inverters(
        fitted.detector, *banks, layers=("fc8",), plan=plan, folder=folder / "inverters", resume=resume
    ).inverters
scores = svdlib.evaluate_inverters(fitted.detector, inverters, banks[1], EvaluationPlan(sets=1, per_song=2))
print(scores["fc8"].nre)
import scipy  # last: the block must block
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": CHILDREN_PATH},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A process that may import nothing but torch and NumPy, after its training and an attempt to import scipy."""
    folder = tmp_path_factory.mktemp("alone")
    return run(BLOCK_ALL_BUT_TORCH_AND_NUMPY + TRAIN, folder), folder


def test_training_and_evaluation_need_only_torch_and_numpy(alone):
    child, folder = alone
    assert child.stdout, child.stderr
    assert 0 < float(child.stdout) < 10
    assert sorted(path.parent.name for path in folder.glob("*/state.npz")) == ["detector", "inverters"]


def test_the_block_of_the_test_above_blocks(alone):
    child, _ = alone
    assert child.returncode == 1 and child.stderr.endswith("scipy is not installed on this machine\n")


def test_importing_the_package_loads_nothing_heavy():
    heavy = "torch", "numpy", "librosa", "matplotlib", "soundfile", "sklearn"
    child = run(f"import sys, svdlib; print([name for name in {heavy} if name in sys.modules])")
    assert child.stdout.strip() == "[]", child.stderr


def test_every_public_name_is_there():
    for name in svdlib.__all__:
        assert getattr(svdlib, name) is not None
    assert set(svdlib.__all__) <= set(dir(svdlib))
    with pytest.raises(AttributeError, match="no attribute 'fit_invertres'"):
        svdlib.fit_invertres  # noqa: B018


def test_type_checkers_see_every_public_name_where_it_is_loaded_from():
    nodes = ast.walk(ast.parse(Path(svdlib.__file__).read_text()))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
    assert seen.pop("__version__") and seen == {name: f"svdlib.{home}" for name, home in svdlib._HOMES.items()}
