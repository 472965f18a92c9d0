"""How near the style and how far from the photo: the network, the teacher, and AdaIN of the whole photo pasted in."""

import time
from collections.abc import Callable, Iterator

from experiments.lab import Lab, Progress
from experiments.plots import spread
from experiments.report import Figures, mean, median, table
from unistyle.evaluation.methods import Method, photo_method, public_method, whole_method
from unistyle.evaluation.pairs import Pair, load_pair, make_pairs, photo_name
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import style_scores

METHODS = ("photo", "gatys", "whole", "network")
SPREADS = {
    "relative": "Gram distance, untouched photo = 1",
    "moments": "moment distance",
    "content": "content distance",
}  # scores whose spread is drawn


def method_of(lab: Lab, name: str) -> Method:
    """A method by its name. `whole` is AdaIN of the whole photo, pasted through the mask."""
    makers: dict[str, Callable[[], Method]] = {
        "photo": lambda: photo_method,
        "gatys": lambda: lab.gatys.restyle,
        "whole": lambda: whole_method(lab.model.network),
        "network": lambda: public_method(lab.model),
    }
    return makers[name]()


def pairs_of(lab: Lab, method: str) -> list[Pair]:
    """The pairs of the evaluation; for the optimisation only as many as the settings say."""
    count = lab.config.gatys.others or lab.config.pairs if method == "gatys" else lab.config.pairs
    contents = lab.photos["val"]
    pairs = make_pairs(contents, contents + lab.photos["train"], lab.config.pairs, lab.config.seed)
    return pairs[:count]


def study(lab: Lab, progress: Progress) -> Iterator[Row]:
    """One row for each pair and method: photo, style, method, material of the photo, `style_scores`, and seconds,
    which are not a number where the result was on disk."""
    results = lab.results("quality")
    for method in METHODS:
        pairs = pairs_of(lab, method)
        for index, pair in enumerate(pairs):
            names = {"photo": photo_name(pair.content), "style": photo_name(pair.style), "method": method}
            settings = lab.config.gatys.iterations if method == "gatys" else lab.version
            key = (*names.values(), settings, index)
            row = results.get(key, lambda p=pair, m=method: scored(lab, p, m))
            yield names | {"material": pair.content.path.parent.name} | row
            progress(method, index + 1, len(pairs))


def scored(lab: Lab, pair: Pair, method: str) -> Row:
    """Scores of one pair."""
    transfer = load_pair(pair)
    known = method == "gatys" and lab.gatys.path(transfer).is_file()
    run = method_of(lab, method)
    start = time.perf_counter()
    result = run(transfer)
    seconds = float("nan") if known else time.perf_counter() - start
    return style_scores(lab.vgg, transfer, result) | {"seconds": seconds}


def section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Distances to style and photo of every method, with their spread."""
    for score, label in SPREADS.items():
        groups = {m: [r[score] for r in rows if r["method"] == m] for m in METHODS}
        spread(groups, label, figures.path(f"quality-{score}"))
    heads = ("method", "pairs", "Gram", "moments", "content", "shading", "seconds for a photo")
    lines = [_line(method, [r for r in rows if r["method"] == method]) for method in METHODS]
    captions = [figures.text(f"quality-{s}", f"{s}: spread over pairs") for s in SPREADS]
    return "\n\n".join(["## Style and content", "Medians.", table(heads, lines), *captions])


def _line(method: str, own: list[Row]) -> tuple:
    medians = (median(r[score] for r in own) for score in ("relative", "moments", "content", "shading"))
    return (method, str(len(own)), *medians, mean(r["seconds"] for r in own))
