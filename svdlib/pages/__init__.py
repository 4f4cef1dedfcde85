"""What a reader touches: the explorer, quizzes, exercises, and networks that run in a page."""
