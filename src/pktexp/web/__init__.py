"""The HTTP side: metrics, health, the live page and the JSON API, with TLS and passwords."""
