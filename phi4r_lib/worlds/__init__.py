"""Toy problems and the making of the tiny models; real runs meet them only as files in data/."""
