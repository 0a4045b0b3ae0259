"""`pktexp top`: what the live page shows, in a terminal; from a service, or without one."""
