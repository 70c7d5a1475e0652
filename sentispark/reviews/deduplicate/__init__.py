"""Reviews of equal text to one: hashes travel between tasks, texts stay where they were read."""
