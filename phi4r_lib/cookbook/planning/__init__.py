"""What a run needs and will take (machine, files, memory, hours, money), found out before it starts; and what runs took."""
