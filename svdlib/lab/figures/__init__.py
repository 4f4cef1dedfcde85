"""The figures of the book, a module for each chapter or subject."""
