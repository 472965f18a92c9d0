"""Training the network, new styles and new materials."""
