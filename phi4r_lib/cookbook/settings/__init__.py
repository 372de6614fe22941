"""What a profile may say and what a notebook says about itself, read and validated before anything runs."""
