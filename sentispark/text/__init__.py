"""Text to words, words to token ids, ids to sequences of one length."""
