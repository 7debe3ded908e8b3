"""``python -m obs.cli`` is the same as ``obs``."""

import sys

from obs.cli import main

sys.exit(main())
