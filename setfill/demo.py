"""`python -m setfill.demo`: the same as `setfill demo`."""

import sys

from setfill.entry import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
