"""The command line, with a module or package per command.

Imports nothing, so that the health check starts quickly.
"""
