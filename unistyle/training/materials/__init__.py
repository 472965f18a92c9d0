"""What the segmenter finds: materials and the main object, from weak labels."""
