"""sentispark on Amazon EMR: options in, calls to AWS out. `launch.py` is the command."""
