"""`python -m bitextmine_indexer`: the indexing worker."""

import sys

from bitextmine_indexer.worker import main

if __name__ == "__main__":
    sys.exit(main())
