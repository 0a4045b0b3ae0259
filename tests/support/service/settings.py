"""Settings of a service, but for the values that a test changes."""

from __future__ import annotations

from typing import Any

from pktexp.commands.options import settings_of
from pktexp.settings import Settings

SMALL = {"port": 0, "max_interfaces": 64, "flow_cache": 256 << 10, "ring_size": 1 << 16}


def settings(**changed: Any) -> Settings:
    """Return the default settings with small sizes and any port, and the changed ones."""
    return settings_of(SMALL | changed)
