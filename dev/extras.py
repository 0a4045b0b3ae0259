"""Write man pages and shell completions, generated from the commands, to a folder.

Their paths in it are those that distributions use below /usr/share.
"""

from __future__ import annotations

import sys
from pathlib import Path

from click.shell_completion import get_completion_class
from click_man.core import write_man_pages

from pktexp import __version__
from pktexp.commands.main import cli

COMPLETIONS = {
    "bash": "bash-completion/completions/pktexp",
    "zsh": "zsh/site-functions/_pktexp",
    "fish": "fish/vendor_completions.d/pktexp.fish",
}


def write(folder: Path) -> None:
    """Write all files below `folder`, which stands for /usr/share."""
    manual = folder / "man" / "man1"
    manual.mkdir(parents=True, exist_ok=True)
    write_man_pages("pktexp", cli, version=__version__, target_dir=str(manual))
    for shell, name in COMPLETIONS.items():
        completion = get_completion_class(shell)
        assert completion, f"click knows no {shell}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(completion(cli, {}, "pktexp", "_PKTEXP_COMPLETE").source(), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
