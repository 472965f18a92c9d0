"""All studies of a run, one after another, and their report."""

import json
from pathlib import Path
from types import ModuleType

from experiments import findings, pictures, report
from experiments.config import ExperimentConfig
from experiments.lab import Lab
from experiments.report import Figures
from experiments.studies import onomatopoeia, quality, resegmentation, saliency, translation
from unistyle.evaluation.rows import Row
from unistyle.files.atomic import atomic
from unistyle.teachers.saliency import Bars

STUDIES: dict[str, ModuleType] = {
    "resegmentation": resegmentation,
    "saliency": saliency,
    "translation": translation,
    "onomatopoeia": onomatopoeia,
    "quality": quality,
}


def check(lab: Lab) -> None:
    """Refuse what cannot be studied before any work starts. Raises ValueError, or FileNotFoundError for folders and
    files that are not there."""
    config = lab.config
    if unknown := set(config.studies) - set(STUDIES):
        raise ValueError(f"no study {', '.join(sorted(unknown))}: choose from {', '.join(STUDIES)}")
    for name in config.contents:
        lab.named(name)
    _ = lab.version  # which reads the checkpoint
    if "onomatopoeia" in config.studies:
        onomatopoeia.check(lab)


def run(config: ExperimentConfig) -> tuple[Path, Path]:
    """Every study that is asked for, then the report; returns its HTML page and its Markdown twin. Raises what `check`
    does."""
    lab, out = Lab(config), Path(config.out)
    check(lab)
    figures, parts, rows = Figures(out), ["# Experiments"], {}
    for name in config.studies:
        rows[name] = list(STUDIES[name].study(lab, Bars()))
        _write(out / f"{name}.json", rows[name])
        parts.append(STUDIES[name].section(lab, rows[name], figures))
    parts += [findings.findings(lab, rows), pictures.pictures(lab, figures)]
    return report.write("\n\n".join(parts), "UniStyle: experiments", out)


def _write(path: Path, rows: list[Row]) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1))
