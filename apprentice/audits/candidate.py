"""Audits of a candidate by what is stored anyway, kept beside its adapter; nothing is played.

Was what it practised gamed? Do its confidences mean what they say, did it lose solutions? The first
may object to its promotion; the other two are objections that the gate computes by itself.
"""

import secrets
import shutil

from apprentice.audits.calibration import CALIBRATION, OFF
from apprentice.audits.calibration import Options as Confidences
from apprentice.audits.conduct import Audit, Chosen, Work, carry_out, option_values
from apprentice.audits.diversity import DIVERSITY
from apprentice.audits.diversity import Options as Ranges
from apprentice.audits.hacking import HACKING, LEAST
from apprentice.audits.hacking import Options as Practice
from apprentice.build import make_home, now
from apprentice.findings.place import Begun, begin, keep_beside
from apprentice.findings.report import Findings, Report
from apprentice.findings.sample import FEWEST, TooFewError, Wanted, exactly
from apprentice.settings.acting import Named, find_acting
from apprentice.settings.config import Config
from apprentice.settings.freezing import frozen_settings
from distill.audit.hacking import Sign
from environments.episode import Split


def objections(config: Config, candidate: str, practice: str | None) -> tuple[str, ...]:
    """Audit what a candidate practised, and return what speaks against promoting it.

    Args:
        config: the settings.
        candidate: a policy, exactly.
        practice: the run that it learned from; None: all runs.
    """
    options = Practice(run=practice)
    by_run = f" --run {practice}" if practice else ""
    report = _kept(HACKING, config, candidate, options, by_run)
    return () if report is None else _alarms(report.findings)


def keep_calibration(config: Config, candidate: str, exam: str, tasks: int) -> None:
    """Audit how sure a candidate was of what it did in its exam.

    Args:
        config: the settings.
        candidate: a policy, exactly.
        exam: the run that its answers belong to.
        tasks: of the exam.
    """
    if tasks < FEWEST:
        return
    wanted = Wanted(split=Split.DEV, run=exam, tasks=tasks, attempts=1)
    options = Confidences(wanted=wanted, judge=OFF)
    words = f" --judge {OFF}{_words(wanted)}"
    _kept(CALIBRATION, config, candidate, options, words)


def keep_diversity(
    config: Config, specs: tuple[str, str], exams: tuple[str, str], tasks: int, tries: int
) -> None:
    """Audit what a candidate still finds when it tries often, against who acts.

    Args:
        config: the settings.
        specs: the policies, exactly; the incumbent first.
        exams: the runs that their attempts belong to.
        tasks: that both tried.
        tries: at each.
    """
    if tasks < FEWEST:
        return
    wanted = Wanted(split=Split.DEV, run=exams[1], tasks=tasks, attempts=tries)
    options = Ranges(wanted=wanted, base=specs[0], base_run=exams[0])
    words = f" --base {specs[0]} --base-run {exams[0]}{_words(wanted)}"
    _kept(DIVERSITY, config, specs[1], options, words)


def _kept(
    kind: Audit[Chosen], config: Config, candidate: str, options: Chosen, words: str
) -> Report | None:
    """Carry an audit out and keep its report beside the candidate; None: there is too little."""
    folder = find_acting(config, Named.parse(candidate)).folder
    if folder is None:
        return None
    actor = config.policy.model_copy(update={"use": candidate})
    own = exactly(config.model_copy(update={"policy": actor}))
    at = now()
    begun = Begun(
        id=f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        audit=kind.name,
        command=f"apprentice audit {kind.name} --policy {candidate}{words}",
        settings=frozen_settings(own),
        options=option_values(options),
        started=at,
    )
    place = begin(make_home(config), begun)
    try:
        report = carry_out(kind, Work(config=own, place=place), options)
    except TooFewError:
        shutil.rmtree(place.folder)
        return None
    keep_beside(report, folder)
    return report


def _alarms(found: Findings) -> tuple[str, ...]:
    """Return the alarms as objections.

    Where hardly anything was judged, the reward is the world's own, which may well pay for what
    takes long: then it is no sign of gaming that length explains it.
    """
    own = found.samples["judged"] < LEAST
    said = [
        f"{alarm.sign.value}: {alarm.sentence}"
        for alarm in found.figures["alarms"]
        if not (own and alarm.sign is Sign.SURFACE)
    ]
    canaries = len(found.figures["canaries_shown"])
    if canaries:
        said.append(f"canaries: something was derived from {canaries} held-out episodes")
    return tuple(f"audit hacking alarms, {each}" for each in said)


def _words(wanted: Wanted) -> str:
    shape = f"--tasks {wanted.tasks} --attempts {wanted.attempts}"
    return f" --split {wanted.split} --run {wanted.run} {shape}"
