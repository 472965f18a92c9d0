"""The study that the project grew out of: `python -m experiments --config configs/experiments.yaml`."""
