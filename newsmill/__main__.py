"""`python -m newsmill` is the command `newsmill`."""

from newsmill.cli import main

if __name__ == "__main__":
    main()
