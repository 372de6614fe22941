"""Other people's evaluation logs as one table of answers; start at logs.read_logs."""
