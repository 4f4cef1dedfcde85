"""What the paper and its released code do to the letter, where the rest of svdlib goes another way."""
