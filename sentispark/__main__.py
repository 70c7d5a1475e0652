"""`python -m sentispark`: the command line."""

import sys

from sentispark.jobs.cli import main

sys.exit(main())
