"""What is explained, and how it comes to be."""
