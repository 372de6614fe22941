"""How a run is driven. Doors: the command (cli.py), what notebooks call (front.py, run.py); the rest stands in rooms, one idea each."""
