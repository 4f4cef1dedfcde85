"""The singing-voice detector of Schlüter & Grill (2015): the first listener whose features are inverted."""
