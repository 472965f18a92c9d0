"""What things cost and what they give, measured: `python -m benchmarks.NAME --help`."""
