"""Notebooks run in order, each in a process of its own that is watched, limited and cleaned up after."""
