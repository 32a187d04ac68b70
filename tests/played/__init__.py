"""What a run on a GPU needs, held on a machine that has none."""
