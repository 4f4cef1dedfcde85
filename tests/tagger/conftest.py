import pytest
from needs import missing

from svdlib.errors import WeightsError
from svdlib.tagger.loading import load_tagger, package_folder


@pytest.fixture(scope="session")
def package():
    """The folder of the installed package musicnn."""
    try:
        return package_folder()
    except WeightsError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def tagger(package):
    return load_tagger()
