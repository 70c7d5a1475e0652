"""The formats of review files: a table of them, and one module per format."""
