"""`python -m setfill`: the same as the command `setfill`."""

import sys

from setfill.entry import main

sys.exit(main())
