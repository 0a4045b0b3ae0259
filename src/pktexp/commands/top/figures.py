"""Format numbers with SI prefixes, and draw bars and line charts with characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

SI = ("", "k", "M", "G", "T", "P")
NOTHING = "-"
LEVELS = " ▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉█"
PLAIN_LEVELS = " .:-=+*#"
PLAIN_EIGHTHS = " #"


def si(number: float | None, unit: str = "") -> str:
    """Return three digits and an SI prefix, such as 12.3 kpps; whole numbers below 1,000 as is."""
    if number is None:
        return NOTHING
    power = 0
    while number >= 999.5 and power < len(SI) - 1:
        number, power = number / 1000, power + 1
    whole = power == 0 and float(number).is_integer()
    digits = 0 if whole else max(2 - len(str(int(number + 0.0005))) + 1, 0)
    return f"{number:.{digits}f} {SI[power]}{unit}".strip()


def bits(bytes_per_second: float | None) -> str:
    """Return a rate of bytes as bits per second."""
    return si(None if bytes_per_second is None else bytes_per_second * 8, "bit/s")


def packets(per_second: float | None) -> str:
    """Return a rate of packets."""
    return si(per_second, "pps")


def size(number: int) -> str:
    """Return a number of bytes in MiB."""
    return f"{number / (1 << 20):.1f} MiB"


def bar(share: float, width: int, plain: bool) -> str:
    """Return a bar of length `share` (0 to 1) of `width`; any share above 0 is visible."""
    parts = PLAIN_EIGHTHS if plain else EIGHTHS
    steps = len(parts) - 1
    filled = math.ceil(min(max(share, 0), 1) * width * steps)
    whole, part = divmod(filled, steps)
    return (parts[-1] * whole + (parts[part] if part else "")).ljust(width)


def line(values: Sequence[float], width: int, plain: bool) -> str:
    """Return a line chart of the last `width` values; the largest value has the full height."""
    levels = PLAIN_LEVELS if plain else LEVELS
    shown, most = values[-width:], max([*values, 1.0])
    heights = (math.ceil(value / most * (len(levels) - 1)) for value in shown)
    return "".join(levels[height] for height in heights).rjust(width)
