"""The gate judged: what its intervals cover, how often it is red for nothing, and what it lets through."""
