"""`python -m bitextmine`: the command line."""

from bitextmine.cli import main

if __name__ == "__main__":
    main()
