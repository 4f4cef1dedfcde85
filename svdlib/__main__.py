"""`python -m svdlib` is `svdlib`."""

import sys

from svdlib.cli import main

sys.exit(main())
