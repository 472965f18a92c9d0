"""How near the style and how far from the photo: the network, the teacher, and AdaIN of the whole photo pasted in."""

import statistics
import time
from collections.abc import Callable, Iterator

from experiments import plots, quality, report
from experiments.lab import Lab, name_of
from experiments.report import Figures, mean
from unistyle.data.transfer import Transfer
from unistyle.evaluation.methods import Method, network_method, photo_method, whole_method
from unistyle.evaluation.pairs import Pair, load_pair, make_pairs
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import style_scores

METHODS = ("photo", "gatys", "whole", "network")


def method_of(lab: Lab, name: str) -> Method:
    """The methods by name; `whole` is AdaIN of the whole photo, pasted through the mask."""
    makers = {
        "photo": lambda: photo_method,
        "gatys": lambda: lambda *job: lab.gatys.restyle(Transfer(job[0], job[2], job[1], job[3])),
        "whole": lambda: whole_method(lab.model.network),
        "network": lambda: network_method(lab.model.network),
    }
    return makers[name]()


def pairs_of(lab: Lab, method: str) -> list[Pair]:
    """The pairs of the evaluation; for the optimisation only as many as the settings say."""
    count = lab.config.gatys.others or lab.config.pairs if method == "gatys" else lab.config.pairs
    contents = lab.photos["val"]
    pairs = make_pairs(contents, contents + lab.photos["train"], lab.config.pairs, lab.config.seed)
    return pairs[:count]


def study(lab: Lab, progress: Callable[[str, int, int], None]) -> Iterator[Row]:
    """A row for each pair and method: photo, style, method, the scores of `unistyle.scores`, seconds (not a number
    where the result was on disk)."""
    results = lab.results("quality")
    for method in METHODS:
        pairs = pairs_of(lab, method)
        for index, pair in enumerate(pairs):
            names = {"photo": name_of(pair.content), "style": name_of(pair.style), "method": method}
            settings = lab.config.gatys.iterations if method == "gatys" else lab.version
            key = (*names.values(), settings, index)
            row = results.get(key, lambda p=pair, m=method: scored(lab, p, m))
            yield names | {"material": pair.content.path.parent.name} | row
            progress(method, index + 1, len(pairs))


def scored(lab: Lab, pair: Pair, method: str) -> Row:
    """Scores of one pair."""
    job = load_pair(pair)
    known = method == "gatys" and lab.gatys.path(job).is_file()
    run = method_of(lab, method)
    start = time.perf_counter()
    result = run(job.photo, job.region, job.style, job.style_region)
    seconds = float("nan") if known else time.perf_counter() - start
    return style_scores(lab.vgg, job, result) | {"seconds": seconds}


def quality_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Distances to style and photo of every method, with their spread."""
    lines = []
    for method in quality.METHODS:
        own = [r for r in rows if r["method"] == method]
        middle = lambda score, own=own: statistics.median(r[score] for r in own)  # noqa: E731
        lines.append((method, str(len(own)), middle("relative"), middle("moments"), middle("content"),
                      middle("shading"), mean(r["seconds"] for r in own)))  # fmt: skip
    for score, label in (
        ("relative", "Gram distance, untouched photo = 1"),
        ("moments", "moment distance"),
        ("content", "content distance"),
    ):
        groups = {m: [r[score] for r in rows if r["method"] == m] for m in quality.METHODS}
        plots.spread(groups, label, figures.path(f"quality-{score}"))
    heads = ("method", "pairs", "Gram", "moments", "content", "shading", "seconds a photo")
    captions = [
        figures.text(f"quality-{s}", f"{s}: spread over pairs") for s in ("relative", "moments", "content")
    ]
    return "\n\n".join(["## Style and content", "Medians.", report.table(heads, lines), *captions])
