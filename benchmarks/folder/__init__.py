"""A folder of photos from end to end, by several programs: `python -m benchmarks.folder --help`."""
