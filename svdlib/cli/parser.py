"""The command line: `svdlib corpus|train|evaluate|invert|explore|convert|export|grade`.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 a fault in svdlib (of `grade`: an answer
that is not right), 2 something that the user can put right, 130 interrupted, 143 ended by SIGTERM.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from svdlib.cli import actions
from svdlib.compute.command_line import Parser, number_type, run_safely
from svdlib.compute.version import __version__

PROFILES = ("demo", "laptop", "full", "published")
STANDARDISATIONS = ("training", "own")
AUC_RULES = ("exact", "published")
PRECISIONS = ("auto", "float32", "bfloat16")
ARCHITECTURES = ("convolutional", "recurrent")
DEFAULT_CORPUS = "synthetic"
LARGEST_SEED = 2**31 - 1
Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"
LAYER_NAMES = "conv1 conv2 mp3 conv4 conv5 mp6 fc7 fc8"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; no exception but SystemExit (of --help) leaves it.

    Args:
        arguments: the words after `svdlib`; None takes those of this process.
    """

    def act() -> int | None:
        options = build_parser().parse_args(arguments)
        return options.act(options)

    words = sys.argv[1:] if arguments is None else arguments
    return run_safely(act, resumable="train" in words[:1])


def build_parser() -> Parser:
    """Describe all verbs and their options."""
    parser = Parser(
        prog="svdlib",
        description="Look and listen inside a singing-voice detector by inverting its features.",
        epilog="example:\n  svdlib invert song.mp3 --out inversions",
    )
    parser.add_argument("--version", action="version", version=f"svdlib {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    _add_corpus(verbs)
    _add_train(verbs)
    _add_evaluate(verbs)
    _add_invert(verbs)
    _add_explore(verbs)
    _add_convert(verbs)
    _add_export(verbs)
    _add_grade(verbs)
    return parser


# --- the verbs -----------------------------------------------------------------------------------------------------


def _add_corpus(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "corpus",
        help="get or prepare a corpus, say what is in it, or write it to files",
        description="Get or prepare a corpus, say what is in it, or write it to files.",
        epilog="examples:\n  svdlib corpus info synthetic\n  svdlib corpus build folder:my_songs\n"
        "  svdlib corpus fetch jamendo\n"
        "  svdlib corpus export synthetic:songs=6 --out six_songs --stems",
    )
    parts = parser.add_subparsers(title="verbs", metavar="VERB", dest="part", required=True)
    for name, act, text in (
        ("build", actions.build_corpus, "compute the spectrograms of all songs and keep them for later runs"),
        ("info", actions.describe_corpus, "count the songs and the singing, say what is missing; decode nothing"),
        ("fetch", actions.fetch_corpus, "download a corpus that others have published, after showing its licence"),
        ("export", actions.export_corpus, "write songs, labels and splits to a folder that folder:DIR reads"),
    ):
        part = parts.add_parser(name, help=text, description=f"{text.capitalize()}.", epilog=CORPUS_NAMES)
        part.add_argument("name", metavar="NAME", help="the corpus, see below")
        if name == "export":
            _add_out(part)
            part.add_argument("--stems", action="store_true", help="voice and band as well, of synthetic corpora")
        if name == "fetch":
            part.add_argument("--to", type=Path, metavar="DIR", help="the corpus's folder (default: see below)")
            part.add_argument("--yes", action="store_true", help="agree to the licence without being asked")
        if name in ("build", "export"):
            _add_processes(part)
        _add_json(part)
        part.set_defaults(act=act)


def _add_train(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "train",
        help="train a detector or its inverters",
        description="Train a detector or its inverters.",
        epilog=TRAIN_EXAMPLES,
    )
    parts = parser.add_subparsers(title="what to train", metavar="WHAT", dest="part", required=True)
    for name, act, text, laptop in (
        ("detector", actions.train_detector, "train the singing-voice detector", "a quarter of an hour"),
        ("inverters", actions.train_inverters, "train one inverter per layer, all in one run", "an hour"),
    ):
        part = parts.add_parser(name, help=text, description=f"{text.capitalize()}.", epilog=TRAIN_EXAMPLES)
        _add_training_options(part, folder=Path("runs", name), laptop=laptop)
        if name == "detector":
            _add_beginnings(part)
        part.set_defaults(act=act)
    _add_layers(part)
    part.add_argument(
        "--objective",
        default="joint",
        metavar="NAME",
        help="joint: input and feature loss, as in the paper (default); input: input loss alone; released: the step of "
        "the released code, whose feature loss has no gradient; adversarial: joint, and a discriminator to deceive; "
        "balanced: input and feature loss, each as a share of the mean predictor's; adversarial-balanced: these, and a "
        "discriminator to deceive",
    )
    part.add_argument(
        "--lambda-feature",
        type=number_type(float, 0),
        metavar="X",
        help="weight of the feature loss (default 1)",
    )
    part.add_argument(
        "--compare",
        nargs="+",
        metavar="LAYER",
        help="layers of the detector at which the feature loss compares (default conv5, as in the paper)",
    )
    part.add_argument(
        "--jitter",
        nargs=3,
        type=number_type(float, 0),
        metavar=("FRAMES", "BANDS", "NOISE"),
        help="before they are compared, move originals and inversions by up to so many frames and bands, alike and at "
        "random, and add noise of this deviation: what shall please must survive it (default: none)",
    )
    part.add_argument(
        "--start", type=Path, metavar="DIR", help="a folder of inverters to go on from (default: from chance)"
    )
    _add_detector(part)


def _add_beginnings(parser: Parser) -> None:
    parser.add_argument(
        "--valid",
        metavar="NAME",
        help="a corpus all of whose songs choose epoch and threshold (default: the validation songs of --corpus)",
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="weights of a detector to go on from (default: from chance)"
    )
    parser.add_argument(
        "--watch",
        metavar="NAME",
        help="a corpus on all of whose songs every epoch is measured, and by which nothing is chosen; prints the curve",
    )
    parser.add_argument(
        "--teachers",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="weights of detectors whose mean answer is learned beside the labels",
    )
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        default=ARCHITECTURES[0],
        help="convolutional: the detector of the paper (default); recurrent: one that reads the song frame by frame",
    )


def _add_training_options(parser: Parser, folder: Path, laptop: str) -> None:
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="demo",
        help=f"how long: demo, a minute (default); laptop, about {laptop} on two cores; full, for a GPU; published, to "
        "the letter of the papers, for a GPU",
    )
    _add_corpus_and_device(parser)
    seed = number_type(int, 0, LARGEST_SEED)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of everything random (default 0)")
    parser.add_argument(
        "--folder", type=Path, default=folder, help=f"where state and weights are kept (default {folder})"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="of activations: auto (default) is bfloat16, half as wide, where the device has fast units for it",
    )
    parser.add_argument("--resume", action="store_true", help="go on from where a run in the folder stopped")
    parser.add_argument(
        "--minutes",
        type=number_type(float, 0),
        default=float("inf"),
        metavar="M",
        help="stop in good order after so many minutes, to be resumed",
    )


def _add_evaluate(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "evaluate",
        help="score a detector or its inverters on the test songs of a corpus",
        description="Score a detector or its inverters on the test songs of a corpus, its validation songs or all.",
        epilog=EVALUATE_EXAMPLES,
    )
    parts = parser.add_subparsers(title="what to evaluate", metavar="WHAT", dest="part", required=True)
    for name, act, text in (
        ("detector", actions.evaluate_detector, "accuracy and area under the ROC curve, over all frames and per song"),
        ("nre", actions.evaluate_nre, "normalised reconstruction error (NRE) of each inverter"),
    ):
        part = parts.add_parser(name, help=text, description=f"Print the {text}.", epilog=EVALUATE_EXAMPLES)
        _add_corpus_and_device(part)
        part.add_argument(
            "--split", choices=("valid", "test", "all"), default="test", help="which of its songs (default test)"
        )
        if name == "detector":
            _add_scoring(part)
        _add_detector(part)
        _add_json(part)
        part.set_defaults(act=act)
    _add_layers(part, variant=None)
    _add_weights(part)
    part.add_argument(
        "--sets", type=number_type(int, 1), default=10, metavar="N", help="evaluation sets to average over (default 10)"
    )
    part.add_argument(
        "--per-song",
        type=number_type(int, 2),
        default=8,
        metavar="N",
        help="random excerpts per song and set (default 8)",
    )
    part.add_argument(
        "--standardise",
        choices=STANDARDISATIONS,
        default="training",
        help="with mean and deviation of the detector's training songs (training, default) or of these songs (own)",
    )


def _add_scoring(parser: Parser) -> None:
    parser.add_argument(
        "--average-pitch",
        action="store_true",
        help="average the predictions over versions of each song transposed by up to 20 %% (five times the work)",
    )
    parser.add_argument(
        "--auc",
        choices=AUC_RULES,
        default=AUC_RULES[0],
        help="exact: every frame is a threshold (default); published: 105 thresholds, as in Schlüter & Grill's code",
    )


def _add_invert(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "invert",
        help="see and hear what each layer keeps of a song",
        description=INVERT_DESCRIPTION,
        epilog=INVERT_EXAMPLES,
    )
    _add_song(parser)
    _add_out(parser)
    _add_excerpt(parser)
    parser.set_defaults(act=actions.invert)


def _add_explore(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "explore",
        help="write a page to step through the layers of a song",
        description=EXPLORE_DESCRIPTION,
        epilog=EXPLORE_EXAMPLES,
    )
    _add_song(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the page to write; folders above it are made"
    )
    _add_excerpt(parser)
    parser.set_defaults(act=actions.explore)


def _add_convert(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "convert",
        help="turn the authors' weights (.npz of Lasagne) into files that the other verbs take",
        description=CONVERT_DESCRIPTION,
        epilog=CONVERT_EXAMPLES,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="an .npz file of a detector or an inverter")
    _add_out(parser)
    parser.add_argument(
        "--layer", metavar="LAYER", help="whose inverter a single FILE must hold (default: known from its arrays)"
    )
    parser.add_argument(
        "--standardizer",
        type=Path,
        metavar="FILE",
        help="an .npz file with mean and std of the 80 mel bands, as the detector was trained with",
    )
    parser.add_argument(
        "--threshold",
        type=number_type(float, 0, 1),
        metavar="P",
        help="the detector's: above it a frame counts as sung",
    )
    parser.set_defaults(act=actions.convert)


def _add_export(verbs: Verbs) -> None:
    parser = verbs.add_parser("export", help="write the networks for other programs", description=EXPORT_DESCRIPTION)
    parts = parser.add_subparsers(title="formats", metavar="FORMAT", dest="part", required=True)
    part = parts.add_parser(
        "onnx",
        help="detector and inverters as ONNX files",
        description=EXPORT_DESCRIPTION,
        epilog="examples:\n  svdlib export onnx --out onnx\n"
        "  svdlib export onnx --out mine --detector runs/detector/detector.safetensors --weights runs/inverters",
    )
    _add_out(part)
    _add_variant(part, default=None)
    _add_detector(part)
    _add_weights(part)
    part.set_defaults(act=actions.export_onnx)
    part = parts.add_parser(
        "web",
        help="the same as scripts that a page can load, also from a disk",
        description=EXPORT_WEB_DESCRIPTION,
        epilog="example:\n  svdlib export web --out networks",
    )
    _add_out(part)
    _add_variant(part, default=None, usual="aligned")
    _add_detector(part)
    _add_weights(part)
    part.set_defaults(act=actions.export_web)


def _add_grade(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "grade",
        help="count the points of a student's notebook",
        description=GRADE_DESCRIPTION,
        epilog="example:\n  svdlib grade submitted/ada/lab.ipynb --key _build/lab-kit/source/lab/lab.ipynb",
    )
    parser.add_argument("notebook", metavar="NOTEBOOK", help="a worksheet of `make lab-kit`, filled in")
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the same notebook in the kit's folder `source`: its checks replace those of the student, who may have "
        "changed them; without it the notebook's own count",
    )
    parser.add_argument(
        "--seconds",
        type=number_type(float, 1),
        default=300.0,
        metavar="N",
        help="that one cell may take, 300 if not given; the whole notebook may take ten times as long",
    )
    _add_json(parser)
    parser.set_defaults(act=actions.grade_notebook)


# --- options that several verbs share ------------------------------------------------------------------------------


def _add_corpus_and_device(parser: Parser) -> None:
    parser.add_argument(
        "--corpus",
        default=DEFAULT_CORPUS,
        metavar="NAME",
        help="synthetic (default), synthetic:songs=6,seconds=20,seed=1, folder:PATH, or a fetched one such as jamendo",
    )
    _add_device(parser)


def _add_device(parser: Parser) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto (default: a GPU if there is one), cpu, cuda, cuda:1"
    )


def _add_detector(parser: Parser) -> None:
    parser.add_argument(
        "--detector", type=Path, metavar="FILE", help="the detector's weights (default: the packaged ones)"
    )


def _add_weights(parser: Parser) -> None:
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="folder with the weights of that detector's inverters (default: the packaged ones)",
    )


def _add_song(parser: Parser) -> None:
    parser.add_argument("song", metavar="SONG", type=Path, help="a sound file: mp3, ogg, flac, wav or aiff")


def _add_excerpt(parser: Parser) -> None:
    """Which excerpt of a song is inverted, from which layers, by which networks."""
    parser.add_argument(
        "--at",
        type=number_type(float),
        metavar="SECONDS",
        help="centre of the excerpt (default: where singing is surest, near-silence left aside)",
    )
    _add_device(parser)
    _add_detector(parser)
    _add_weights(parser)
    parser.add_argument(
        "--variant",
        metavar="NAME",
        help="family of inverters: aligned or published (default aligned, unless FOLDER holds another family)",
    )
    parser.add_list(
        "--layers",
        LAYER_NAMES.split(),
        metavar="LAYER",
        help=f"which layers (default all that there are inverters for: {LAYER_NAMES})",
    )
    _add_json(parser)


def _add_layers(parser: Parser, variant: str | None = "published") -> None:
    parser.add_list(
        "--layers",
        LAYER_NAMES.split(),
        default=LAYER_NAMES.split(),
        metavar="LAYER",
        help=f"which layers (default all: {LAYER_NAMES})",
    )
    _add_variant(parser, variant)


def _add_variant(parser: Parser, default: str | None = "published", usual: str = "published") -> None:
    text = f"default {default}" if default else f"default {usual}, unless FOLDER holds another family"
    parser.add_argument(
        "--variant", default=default, metavar="NAME", help=f"family of inverters: published or aligned ({text})"
    )


def _add_out(parser: Parser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write to; made, with those above, if missing"
    )


def _add_processes(parser: Parser) -> None:
    parser.add_argument(
        "--processes",
        type=number_type(int, 1),
        metavar="N",
        help="how many songs to work on at once (default: SVDLIB_PROCESSES, or else all cores)",
    )


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else there")


GRADE_DESCRIPTION = """Run a student's notebook in a process of its own, with a time limit, and print the points of each
exercise. The exit status is 0 if all answers are right, and 1 if not. The code in the notebook runs with your rights:
grade what strangers wrote in an account or a container that holds nothing else."""

CORPUS_NAMES = """corpora:
  synthetic                           93 songs of a minute, made by procedure
  synthetic:songs=6,seconds=20,seed=1 as many and as long as you like
  synthetic-b, synthetic-c            other singers, instruments and mixes, to choose and to test on what
                                      no training has met; with the same options
  folder:PATH                         your own: PATH/audio/NAME.mp3 (or ogg, flac, wav, aiff),
                                      PATH/labels/NAME.lab with lines "start end sing|nosing" in seconds,
                                      and, if you like, PATH/splits.csv with the columns file,split
  jamendo, rwc, jamendolyrics, electrobyte
                                      published by others, with licences of their own: `svdlib corpus
                                      fetch NAME` gets them; NAME:PATH where they lie in a folder of yours
  synthetic+folder:PATH               several as one, joined by plus signs

Fetched corpora are kept in the user's data folder, or where the environment variable SVDLIB_DATA says.
Spectrograms are kept in the user's cache folder, or where the environment variable SVDLIB_CACHE says."""

TRAIN_EXAMPLES = """examples:
  svdlib train detector --profile laptop --corpus folder:my_songs
  svdlib train detector --corpus synthetic+folder:my_songs --valid synthetic-b --start my_detector.safetensors
  svdlib train inverters --variant aligned --resume
  svdlib train inverters --layers fc7 fc8 --detector runs/detector/detector.safetensors
  svdlib train inverters --layers fc8 --variant aligned --objective balanced --compare conv5 fc8 --jitter 4 1 0
  svdlib train inverters --profile full --minutes 9 --resume
  svdlib train inverters --profile published --objective released --folder runs/released
  torchrun --nproc_per_node=4 -m svdlib train inverters --profile full      (on four GPUs at once)

Ctrl-C stops a run, --resume goes on with it. The paths of the weights are printed when it is finished."""

EVALUATE_EXAMPLES = """examples:
  svdlib evaluate detector --corpus folder:my_songs --split all
  svdlib evaluate nre --split valid --layers conv5 fc7
  svdlib evaluate nre --corpus folder:my_songs --split all --standardise own
  svdlib evaluate nre --weights runs/inverters --detector runs/detector/detector.safetensors --json"""

INVERT_EXAMPLES = """examples:
  svdlib invert song.mp3 --out inversions
  svdlib invert song.mp3 --out inversions --at 61.5
  svdlib invert song.mp3 --out two --layers conv2 fc8
  svdlib invert song.mp3 --out as-in-the-paper --variant published
  svdlib invert song.mp3 --out inversions --detector authors/detector.safetensors --weights authors"""

INVERT_DESCRIPTION = """Choose an excerpt of about 1.6 s, invert it from the detector's layers, and write:

  inversions.png   the excerpt and its inversions
  detector.png     the probability of singing over the song
  input.wav        the excerpt itself
  conv1.wav ...    what each layer keeps of it, made audible
  inversions.json  the numbers"""

EXPLORE_DESCRIPTION = """Choose an excerpt of about 1.6 s, as `svdlib invert` does, and write a page that stands alone:
step through the layers, see, hear and compare what each has kept. It needs no network and can be sent to others."""

EXPLORE_EXAMPLES = """examples:
  svdlib explore song.mp3 --out page.html
  svdlib explore song.mp3 --out page.html --at 61.5 --layers conv5 fc8
  svdlib explore song.mp3 --out mine.html --detector runs/detector/detector.safetensors --weights runs/inverters"""

CONVERT_DESCRIPTION = """Write weights in .npz files of Lasagne, the library that the paper's models were built with, to
DIR as detector.safetensors and published-LAYER.safetensors. Nothing in the files is executed. A detector needs
--standardizer and --threshold, which its own file does not hold."""

CONVERT_EXAMPLES = """examples:
  svdlib convert detector.npz inverters/*.npz --out authors --standardizer jamendo_meanstd.npz --threshold 0.5
  svdlib evaluate nre --detector authors/detector.safetensors --weights authors --corpus folder:my_songs"""

EXPORT_DESCRIPTION = """Write a detector and its inverters, the packaged ones or your own, to DIR as ONNX files that
take and give raw log-mels (natural logarithm, not standardised). Needs the package onnx."""

EXPORT_WEB_DESCRIPTION = """Write a detector and its inverters, the packaged ones or your own, to DIR for pages:

  constants.js   constants.json: mean and deviation of each mel band, the threshold
  detector.js    piece.onnx scores every frame of a piece of a song, excerpt.onnx gives all features of
                 excerpts; detector.weights belongs to both
  inverters.js   conv1.onnx ... fc8.onnx

They are classic scripts, so that they load from a disk too. Each puts its files into the object svdlibFiles, by name,
gzipped and in base64. The networks take and give standardised log-mels; their weights are stored as float16, and they
compute in float32. Needs the package onnx."""
