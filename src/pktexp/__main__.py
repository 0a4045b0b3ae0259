"""`python -m pktexp`: the same as the `pktexp` command (cli.py)."""

from pktexp.commands.main import main

if __name__ == "__main__":
    main()
