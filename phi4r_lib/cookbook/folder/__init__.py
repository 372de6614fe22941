"""What a run leaves on disk, what its results depend on, and whether they still hold."""
