"""All studies of a run, one after another, and their report."""

import json
from collections.abc import Callable
from pathlib import Path

from experiments import (
    findings,
    onomatopoeia,
    pictures,
    quality,
    report,
    resegmentation,
    saliency,
    translation,
)
from experiments.config import ExperimentConfig
from experiments.lab import Lab
from experiments.onomatopoeia import onomatopoeia_section
from experiments.quality import quality_section
from experiments.report import Figures
from experiments.resegmentation import resegmentation_section
from experiments.saliency import saliency_section
from experiments.translation import translation_section
from unistyle.files.atomic import atomic
from unistyle.teachers.saliency import Bars

SECTIONS: dict[str, tuple[Callable, Callable]] = {
    "resegmentation": (resegmentation.study, resegmentation_section),
    "saliency": (saliency.study, saliency_section),
    "translation": (translation.study, translation_section),
    "onomatopoeia": (onomatopoeia.study, onomatopoeia_section),
    "quality": (quality.study, quality_section),
}


def run(config: ExperimentConfig) -> tuple[Path, Path]:
    """Every study that is asked for, then the report; returns its HTML page and its Markdown twin."""
    if unknown := set(config.studies) - set(SECTIONS):
        raise ValueError(f"no study {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    lab, out = Lab(config), Path(config.out)
    figures, parts, rows = Figures(out), ["# Experiments"], {}
    for name in config.studies:
        study, section = SECTIONS[name]
        rows[name] = list(study(lab, Bars()))
        with atomic(out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(rows[name], indent=1))
        parts.append(section(lab, rows[name], figures))
    parts += [findings.findings(lab, rows), pictures.pictures(lab, figures)]
    return report.write("\n\n".join(parts), "UniStyle: experiments", out)
