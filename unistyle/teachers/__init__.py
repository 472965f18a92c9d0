"""What the network learns from: the Gatys optimisation and class saliency (training and measuring only)."""
