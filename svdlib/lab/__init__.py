"""What the book measures and draws."""
