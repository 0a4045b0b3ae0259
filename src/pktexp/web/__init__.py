"""The HTTP side: what is served (app.py) and on which socket (listen.py)."""
