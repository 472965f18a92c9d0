"""Files of weights, configuration, vocabulary and style bank."""
