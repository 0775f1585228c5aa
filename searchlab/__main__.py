"""``python -m searchlab``."""

from searchlab.cli.main import main

if __name__ == "__main__":
    main()
