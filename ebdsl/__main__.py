"""``python -m ebdsl``: the command line."""

from ebdsl.commands import main

if __name__ == "__main__":
    main()
