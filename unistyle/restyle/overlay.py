"""The restyled picture laid over the photo at the photo's own size."""

BAND = 2**21  # pixels of a photo that are laid over it at a time
