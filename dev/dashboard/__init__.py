"""Makes deploy/grafana/pktexp.json: `python -m dashboard`, or `just docs`."""
