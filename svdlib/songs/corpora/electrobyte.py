"""Electrobyte: 90 songs of electronic music with labels in Jamendo's format, by Romero-Arenas and others (2022).

The corpus is laid out as Jamendo is: `.mp3` files in folders `train`, `valid` and `test`, and a `.lab` file for each
(the authors' program reads both alike). Known from the paper: MP3, 60/15/15 songs, chosen at random, labelled by hand.
Not known when this was written: what the files of Zenodo's record are called, which Zenodo tells when the download
begins, and whether they are zip or tar archives or the songs themselves, which are the kinds that are read.
"""

from svdlib.songs.corpora import jamendo
from svdlib.songs.corpora.sources import Publication
from svdlib.songs.corpora.zenodo import record_files, record_source

ELECTROBYTE = Publication(
    name="electrobyte",
    title="Electrobyte: electronic music with singing labels",
    licence="Creative Commons Attribution 4.0 (CC BY 4.0)",
    cite="R. Romero-Arenas, A. Gómez-Espinosa, B. Valdés-Aguirre. Singing Voice Detection in Electronic Music with a "
    "Long-Term Recurrent Convolutional Network. Applied Sciences 12(15), 7405, 2022",
    page="https://zenodo.org/records/6757945",
    songs={"train": 60, "valid": 15, "test": 15},
    size=None,
    sources=(record_source(6757945),),
    name_more=record_files,
    take_stock=jamendo.take_stock,
    read_labels=jamendo.read_labels,
    layout="sound files in folders train, valid and test, and a .lab file of the same name for each",
    unconfirmed="names and sizes of the files in the record, and the folders in them",
)
