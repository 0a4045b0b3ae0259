"""What tests share: namespaces, packets, a running service, and a reading of its page."""
