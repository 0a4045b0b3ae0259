"""`pktexp serve`: runs the pipeline and serves it over HTTP until a signal stops it."""
