"""`python -m loadpath.drive`: the engine process."""

import sys

from loadpath.drive.process import main

sys.exit(main())
