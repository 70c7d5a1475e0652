"""`python -m sentispark`: the command line."""

import sys

from sentispark.jobs.cli import main

if __name__ == "__main__":
    sys.exit(main())
