"""`python -m setfill`: the same as the command `setfill`."""

import sys

from setfill.entry import main

if __name__ == "__main__":
    sys.exit(main())
