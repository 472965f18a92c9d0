"""Photos -> a checkpoint: `unistyle train`, from a checkout."""

import sys

from unistyle.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
