"""How the repository comes to the reader, and what its installation takes: with and without an address, as measured."""

import zipfile

import where


def test_with_an_address_the_pages_name_it_and_without_one_the_sources_come_along():
    named = where.where_text({"repository": {"url": "https://github.com/someone/a.book-1"}})
    assert "git clone https://github.com/someone/a.book-1" in named and where.SOURCES not in named
    unnamed = where.where_text({"repository": {"url": ""}})
    assert f'href="../{where.SOURCES}"' in unnamed and "github" not in unnamed


def test_the_sources_are_a_zip_that_can_be_built_from(tmp_path):
    where.pack_sources(tmp_path / where.SOURCES)
    with zipfile.ZipFile(tmp_path / where.SOURCES) as archive:
        names = set(archive.namelist())
    assert {
        "svdlib/Makefile",
        "svdlib/pyproject.toml",
        "svdlib/notebooks/00_songs.py",
        "svdlib/svdlib/py.typed",
    } <= names
    assert not [name for name in names if "/.venv/" in name or "/_build/" in name or name.endswith(".ipynb")]


def test_a_copy_without_git_packs_what_is_there(tmp_path, monkeypatch):
    root = tmp_path / "copy"
    for name in ("Makefile", ".gitignore", "svdlib/a.py", "_build/html/x.html", ".venv/lib/y.py", "svdlib.egg-info/z"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    monkeypatch.setattr(where, "ROOT", root)
    where.pack_sources(tmp_path / "source.zip")
    with zipfile.ZipFile(tmp_path / "source.zip") as archive:
        assert sorted(archive.namelist()) == ["svdlib/.gitignore", "svdlib/Makefile", "svdlib/svdlib/a.py"]


def test_the_installation_is_measured(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, size in (("torch", 300_000_000), ("nvidia", 500_000_000), ("numpy", 100_000_000)):
        (packages / name).mkdir(parents=True)
        with (packages / name / "library.so").open("wb") as file:
            file.truncate(size)  # a hole: it takes no room on the disk
    (packages / "numpy" / "once more.so").hardlink_to(packages / "numpy" / "library.so")
    stamp = tmp_path / "installed"
    text = where.installation_text(tmp_path, stamp)
    assert "take 0.9 GB, of which torch is 0.8 GB." in text and "min" not in text
    stamp.write_text("")
    assert where.installation_text(tmp_path, stamp) == text
    stamp.write_text("412\n")
    assert "Installing them took 7 min." in where.installation_text(tmp_path, stamp)
