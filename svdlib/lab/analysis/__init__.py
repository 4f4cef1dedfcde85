"""Measures of spectrograms, features and explanations, and intervals over songs."""
