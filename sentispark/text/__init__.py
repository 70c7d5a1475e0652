"""Text to words, words to token ids, token ids to sequences of equal length."""
