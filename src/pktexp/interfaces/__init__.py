"""Follows the interfaces, attaches the programs, and reads totals and drops by interface."""
