"""Damaged and hostile files for the loaders: `python -m benchmarks.fuzz --help`."""
