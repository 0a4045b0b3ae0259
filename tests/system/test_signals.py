"""What signals do to a service."""

from __future__ import annotations

import os
import signal

from support.netns.namespace import Namespace
from support.service.process import serving

Pair = tuple[Namespace, Namespace]


def test_sighup_without_files_is_logged_and_changes_nothing(pair: Pair) -> None:
    with serving(pair[1], "--interfaces", "vb") as service:
        hook = service.wait_until_attached("vb")
        os.kill(service.pid, signal.SIGHUP)
        service.wait_for_line("SIGHUP: no file")
        assert service.wait_until_attached("vb") == hook
