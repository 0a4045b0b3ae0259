"""`python -m pktexp`: the same as the `pktexp` command (cli.py)."""

from pktexp.cli import main

if __name__ == "__main__":
    main()
