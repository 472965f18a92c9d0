"""What is left to do of a run that may have been interrupted, and what is done to every photo."""

import json
from dataclasses import replace

from unistyle.batch.jobs import Job, Options, Search
from unistyle.batch.manifest import Manifest, differences, inputs_of, line, name_of, record
from unistyle.errors import UsageError
from unistyle.files.places import present


def to_do(manifest: Manifest, found: Search, options: Options, settings: dict) -> tuple[list[Job], int]:
    """The jobs that are left, and how many are finished. The manifest is brought up to date with both.

    settings: what decides the results, as the manifest keeps it. A result whose photo or mask has changed since, or
    whose last try failed, is made anew. Raises UsageError where finished results were made with other settings, or
    of a photo in another folder.
    """
    old, exists = manifest.read(), present(manifest.out)
    lines, left = dict(old), []
    differing: dict[str, tuple] = {}
    for given in found.jobs:
        name = name_of(given, manifest.out)
        before = json.loads(old.get(name, "{}"))
        stands = not options.overwrite and exists(given.output)
        job, others = _compared(given, before) if stands else (given, {})
        if before.get("status") == "failed":  # to replace a result, which it says nothing about
            before = {}
        missing = options.missing(job, exists)
        if missing:
            left.append(job)
        else:
            lines[name] = line(_skipped(job, manifest, before))
        if stands:
            for setting, values in (differences(before, settings) | others).items():
                differing.setdefault(setting, (job, *values))
        elif not exists(job.output):
            lines.pop(name, None)  # what stands keeps its record until it is replaced
    if differing:
        raise UsageError(_refusal(manifest, differing))
    manifest.write(lines.values())
    return left, len(found.jobs) - len(left)


def _compared(job: Job, before: dict) -> tuple[Job, dict[str, tuple]]:
    """The job, which says whether the result that stands is made anew, and inputs of another place: name -> (then,
    now). before: the record of the result."""
    if before.get("status") == "failed":
        return replace(job, anew=True), {}
    then, now = before.get("read") or {}, inputs_of(job)
    changed = {name for name in then.keys() & now if _differ(then[name], now[name])}
    places = {name: tuple((each[name] or {}).get("place") for each in (then, now)) for name in changed}
    others = {name: (a, b) for name, (a, b) in places.items() if a and b and a != b}
    return replace(job, anew=bool(changed), read=then or now), others


def _differ(then: dict | None, now: dict | None) -> bool:
    """Whether two inputs are of different content, by what is known of both."""
    if then is None or now is None or ("size" in then) != ("size" in now):
        return then is not now
    return any(then.get(k) != now.get(k) for k in ("size", "time") if None not in (then.get(k), now.get(k)))


def _refusal(manifest: Manifest, differing: dict[str, tuple]) -> str:
    named = "; ".join(f"{name} was {then!r} and is {now!r} now" for name, (_, then, now) in differing.items())
    first = next(iter(differing.values()))[0]
    return (
        f"{first.output} and maybe more in {manifest.out} were made with other settings: {named}. "
        "Give --overwrite to make them anew, another --out to keep both, or the settings of before"
    )


def _skipped(job: Job, manifest: Manifest, before: dict) -> dict:
    """The record of a result that exists. It keeps what an earlier run found out about it."""
    reason, kept = "the result exists; --overwrite replaces it", before.get
    known = dict(settings=kept("settings"), materials=kept("materials"), styles=kept("styles"))
    return record(job, manifest.out, "skipped", reason, 0.0, **known)
