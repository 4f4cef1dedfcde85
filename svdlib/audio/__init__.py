"""From sound files to log-mel spectrograms and back: the front end of Schlüter & Grill (2015)."""
