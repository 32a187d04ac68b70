"""Ask a finished run's network while one looks: a page on this machine, and one thread that answers it."""
