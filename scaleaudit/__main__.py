"""Run the command line as ``python -m scaleaudit``."""

from scaleaudit.cli import main

if __name__ == "__main__":
    main()
