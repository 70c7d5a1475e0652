"""The formats of review files: a table, and for each format a file that reads it."""
