"""The studies: each has `study`, which makes the rows of its results, and `section`, its part of the report."""
