"""Songs with labels: corpora on disk, and songs made by procedure."""
