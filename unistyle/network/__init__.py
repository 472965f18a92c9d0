"""What ships: encoder, segmenter, stylizer and composite."""
