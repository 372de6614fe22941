"""Pure speed: skip this room when learning. Everything in it gives the same numbers as the plain way."""
