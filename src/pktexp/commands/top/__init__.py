"""`pktexp top`: the live page's data in a terminal, from a service or counted by itself."""
