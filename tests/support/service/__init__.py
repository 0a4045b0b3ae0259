"""A pktexp process in a namespace, its settings, page and API, and requests to it."""
