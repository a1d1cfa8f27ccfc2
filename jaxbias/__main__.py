"""``python -m jaxbias`` is the command ``jaxbias``."""

import sys

from jaxbias.cli import main

if __name__ == "__main__":
    sys.exit(main())
