"""Review files to a dataset: `sentispark prepare` as a function."""
