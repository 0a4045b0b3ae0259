"""Samples of everything that is counted, a second apart, and the API's documents of them."""
