"""Merges reviews of equal text. Hashes travel between tasks; texts stay with the task that read them."""
