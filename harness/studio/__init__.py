"""The studio: a local page on which a finished run's model is asked while somebody looks."""
