"""From a run directory to its verdict: the criteria as assertions, and what is published of them."""
