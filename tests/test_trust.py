"""The anchor policy at work: measured gaps, corrections of people, and past policies as judges."""

from dataclasses import replace
from datetime import UTC, datetime
from shutil import rmtree

import pytest

from apprentice.audits.conduct import judge_or_self
from apprentice.findings.past import past_policies
from apprentice.findings.place import AuditError
from apprentice.findings.trust import (
    UntrustedError,
    Vouched,
    corrections,
    measured_gaps,
    trusted,
)
from auditing import a_config, an_audit
from distill.models.adapters import Adapters
from distill.sequences.collate import Chosen
from distill.sequences.encode import Reading
from environments.anchor import Anchor
from environments.episode import Split
from learning import a_lineage, an_episode, tiny_student, tokenizer
from memory.bank.annotations import Annotation
from memory.proof.intervals import Interval
from memory.store.store import Store

NOON = datetime(2026, 11, 24, tzinfo=UTC)
GOOD, BAD = Interval(0.02, 0.2), Interval(-0.2, -0.02)


def vouched(anchor, number=0, **changes):
    reading = Reading(episode=an_episode(number=number, name=f"e{number}"))
    return Vouched(Chosen(reading=reading, **changes), anchor)


def test_a_batch_that_only_the_model_vouches_for_is_refused_in_one_line():
    with pytest.raises(UntrustedError) as caught:
        trusted([vouched(Anchor.SELF)], {})
    assert "\n" not in str(caught.value)
    assert "walk: refused, only the model vouches for it and its gap is unmeasured" in str(
        caught.value
    )
    with pytest.raises(UntrustedError, match="there are no samples"):
        trusted([], {})


def test_a_measured_gap_lets_the_model_teach_itself_and_a_negative_one_does_not():
    assert trusted([vouched(Anchor.SELF)], {"walk": GOOD}).chosen[0].weight == 1.0
    with pytest.raises(UntrustedError, match="the gap is negative"):
        trusted([vouched(Anchor.SELF)], {"walk": BAD})


def test_beside_external_samples_the_models_own_get_a_quarter_of_the_weight():
    samples = [vouched(Anchor.ENVIRONMENT), *(vouched(Anchor.SELF, n) for n in range(1, 5))]
    allowed = trusted(samples, {})
    assert allowed.self_share == pytest.approx(0.25)
    assert [each.weight for each in allowed.chosen] == pytest.approx([1.0, *([1 / 12] * 4)])
    assert "weights times 0.08" in allowed.reasons[0]


def test_what_may_not_train_is_left_out_and_the_rest_stays():
    samples = [vouched(Anchor.HUMAN), vouched(Anchor.SELF, 1)]
    assert len(trusted(samples, {"walk": BAD}).chosen) == 1


def test_gaps_are_those_of_this_policy_and_judge_and_the_newest_counts(tmp_path):
    an_audit(tmp_path, 1, cook=(0.1, 0.2, True), clean=(0.3, 0.4, True))
    an_audit(tmp_path, 2, cook=(-0.1, 0.1, True), all=(0.5, 0.6, True), heat=(0.2, 0.3, False))
    an_audit(tmp_path, 3, judge="third", cook=(0.7, 0.8, True))
    an_audit(tmp_path, 4, policy="q", judge="q", cook=(0.9, 1.0, True))
    assert measured_gaps(tmp_path, "p") == {
        "cook": Interval(-0.1, 0.1),
        "clean": Interval(0.3, 0.4),
    }
    assert measured_gaps(tmp_path, "p", "third") == {"cook": Interval(0.7, 0.8)}
    assert measured_gaps(tmp_path, "unknown") == {}


def test_a_loop_asks_the_gap_of_the_policy_that_acts_now(tmp_path):
    """What was measured before a round of training says nothing of the policy after it."""
    an_audit(tmp_path, 1, policy="m", judge="m", walk=(0.1, 0.2, True))
    assert trusted([vouched(Anchor.SELF)], measured_gaps(tmp_path, "m")).chosen
    with pytest.raises(UntrustedError, match="unmeasured"):
        trusted([vouched(Anchor.SELF)], measured_gaps(tmp_path, "m@round1"))


def test_a_persons_corrections_are_samples_that_a_person_vouches_for(tmp_path):
    done = an_episode("go left", "wait", name="e1")
    exam = replace(done, id="e2", task=replace(done.task, split=Split.DEV))
    with Store.open(tmp_path / "store.db") as store:
        store.add_all([done, exam])
        said = [
            Annotation(id="A1", episode="e1", step=2, action="go right", by="me", at=NOON),
            Annotation(id="A2", episode="e1", score=1, by="me", at=NOON),
            Annotation(id="A3", episode="e2", step=2, action="go right", by="me", at=NOON),
        ]
        (only,) = corrections(store, said)
    assert only.anchor is Anchor.HUMAN
    assert only.chosen.reading.episode.actions == ("go left", "go right")
    assert trusted([only], {}).chosen == (only.chosen,)


def promoted(home, *names):
    """Promote adapters one after the other, and return all of them."""
    kept = Adapters(home / "adapters")
    for name in names:
        kept.add(tiny_student(), tokenizer(), a_lineage(name))
        kept.promote(name)
    return kept


def test_policies_that_were_promoted_before_are_judges(tmp_path):
    config = a_config(tmp_path)
    assert past_policies(config) == ()
    with pytest.raises(AuditError, match="no policy was promoted before"):
        judge_or_self(config, "past")
    promoted(tmp_path, "first", "second")
    assert past_policies(config) == ("local:small@base", "local:small@first")
    assert judge_or_self(config, "past") == "local:small@first"
    assert judge_or_self(config, "local:small") == "local:small@base"
    assert judge_or_self(config, "") == config.policy.use


def test_a_promoted_policy_that_somebody_deleted_is_passed_over_with_a_line(tmp_path, capsys):
    config = a_config(tmp_path)
    kept = promoted(tmp_path, "first", "second", "third")
    rmtree(kept.path("first"))
    assert past_policies(config) == ("local:small@base", "local:small@second")
    assert capsys.readouterr().err == "adapter 'first' was promoted and is gone; passed over\n"
    rmtree(kept.path("third"))
    assert past_policies(config) == ("local:small@base", "local:small@second")
    rmtree(kept.path("second"))
    assert past_policies(config) == ()
