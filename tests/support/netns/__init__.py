"""Network namespaces, the hosts made of them, and traffic between them."""
