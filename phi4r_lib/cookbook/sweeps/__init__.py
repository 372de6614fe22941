"""One training many times: arms x seeds, every cell a folder of its own."""
