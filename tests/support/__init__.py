"""Helpers that tests share, a folder a subject; patience.py bounds their waits."""
