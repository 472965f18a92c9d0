"""Statistics of features, sizes of tensors, scores of masks: one definition for everything."""
