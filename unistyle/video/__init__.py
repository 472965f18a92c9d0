"""Videos: the loop, the files, whether they are whole, and what is kept from frame to frame."""
