"""`pktexp replay`: runs a capture through the BPF programs and prints the metrics."""
