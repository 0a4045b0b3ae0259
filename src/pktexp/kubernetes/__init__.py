"""This node's pods and their addresses, watched at the Kubernetes API server.

Imports only from `settings`, `netlink` and the modules at the ground.
"""
