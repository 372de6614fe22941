"""What a run shows to people: pictures in notebooks, the report, notebooks fit to keep, the analysis of foreign logs."""
