"""Names of this node's pods, as the Kubernetes API server tells them; started by assembly.py."""
