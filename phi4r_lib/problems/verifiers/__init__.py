"""Verifiers that ship, one module each; verify.py names them and holds the contract."""
