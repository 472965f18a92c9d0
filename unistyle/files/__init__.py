"""Photos, folders and addresses: reading, and writing whole files."""
