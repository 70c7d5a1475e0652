"""The commands: each reads its flags, runs the library and ends with one line of JSON."""
