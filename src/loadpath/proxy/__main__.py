"""`python -m loadpath.proxy`: the process of the cache."""

import sys

from loadpath.proxy.process import main

sys.exit(main())
