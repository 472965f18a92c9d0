"""Many photos: what becomes what, the loop over them, and the record of it."""
