"""The command line, a module or package for each command; imports nothing, see healthcheck."""
