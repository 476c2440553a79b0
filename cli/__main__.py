"""`python -m podium.cli` is `podium`."""

import sys

from .main import main

sys.exit(main())
