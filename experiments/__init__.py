"""The study that the project grew out of: `python -m unistyle.experiments --config configs/experiments.yaml`."""
