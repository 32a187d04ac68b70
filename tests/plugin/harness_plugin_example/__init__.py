"""A plug-in of the interpretability harness: what tells a class from the others."""
