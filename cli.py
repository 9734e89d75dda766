"""The command line from a checkout: ``python cli.py check specs/sparse_coding.ebm``."""

import sys

from ebdsl.commands import main

if __name__ == "__main__":
    sys.exit(main())
