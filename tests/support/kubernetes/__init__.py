"""An API server for tests, pods and nodes, and checks of the shipped manifests."""
