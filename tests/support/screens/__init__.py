"""A browser's page and a terminal's screen, as a reader sees them."""
