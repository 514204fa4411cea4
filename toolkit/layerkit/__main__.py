"""`python -m layerkit` is `layerkit`."""

from layerkit.cli import main

if __name__ == "__main__":
    main()
