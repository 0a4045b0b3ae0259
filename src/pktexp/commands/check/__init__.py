"""`pktexp check`: reports whether `serve` would work here, and where it would count."""
