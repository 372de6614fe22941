"""What single notebooks need of their own: their settings, the work between their cells, and a front with the names they import."""
