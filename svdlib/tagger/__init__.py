"""A second listener, for another task: the music tagger MTT_vgg of the package musicnn (Pons & Serra, 2019)."""
