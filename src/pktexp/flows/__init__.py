"""From ring buffers and flow cache to a bounded table of flows; sums by network; accounting."""
