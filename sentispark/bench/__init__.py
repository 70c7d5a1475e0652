"""Benchmarks: sentispark compared with the alternatives, each measured in one run on the same machine."""
