"""Review files to a dataset: all that `sentispark prepare` does, as a function."""
