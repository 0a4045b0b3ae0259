"""Man pages and shell completions, as man and bash take them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import extras
from pktexp.commands.main import cli, serve
from support.patience import finished


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    extras.write(folder)
    return folder


def test_man_pages_show_every_command_and_option(share: Path) -> None:
    for name in ("pktexp", *(f"pktexp-{command}" for command in cli.commands)):
        page = share / "man" / "man1" / f"{name}.1"
        command = ["man", "--warnings", "--local-file", str(page)]
        environment = os.environ | {"MANWIDTH": "100", "MANPAGER": "cat", "LC_ALL": "C.UTF-8"}
        done = finished(command, capture_output=True, check=True, env=environment)
        assert done.stderr == ""
        if name == "pktexp-serve":
            for option in serve.params:
                assert option.opts[0] in done.stdout


def test_bash_completes_an_option_and_its_values(share: Path) -> None:
    script = (
        f"source {share}/bash-completion/completions/pktexp; "
        "ask() { COMP_WORDS=(pktexp serve $1); COMP_CWORD=2; COMPREPLY=(); "
        "_pktexp_completion pktexp; echo ${COMPREPLY[*]}; }; ask --flow"
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = finished(
        ["bash", "-c", script],
        capture_output=True,
        check=True,
        env=os.environ | {"PATH": path},
    )
    assert done.stdout.split() == ["--flows", "--flow-cache"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_fish_and_zsh_completions_exist(share: Path, shell: str) -> None:
    assert "_PKTEXP_COMPLETE" in (share / extras.COMPLETIONS[shell]).read_text()
