"""`python -m loadpath.tap`: the tap process."""

import sys

from loadpath.tap.process import main

sys.exit(main())
