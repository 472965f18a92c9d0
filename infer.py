"""Photos -> restyled photos and masks: `unistyle infer`, from a checkout."""

import sys

from unistyle.commands.infer import main

if __name__ == "__main__":
    sys.exit(main())
