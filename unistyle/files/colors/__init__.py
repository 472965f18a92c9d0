"""Colour: what the numbers of a photo mean, in sRGB and back."""
