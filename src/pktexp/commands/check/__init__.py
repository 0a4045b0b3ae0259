"""`pktexp check`: report whether `serve` would work here, and which hooks it would use."""
