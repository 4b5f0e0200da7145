"""`apprentice audit hacking`: what is gamed is flagged, what is earned is not."""

import json
from dataclasses import replace
from math import log
from random import Random

import numpy as np
import pytest

from apprentice.audits.beliefs import LEAST_BELIEF, moved
from apprentice.audits.hacking import (
    HACKING,
    Evidence,
    Fact,
    Options,
    checkpoints_of,
    fact_of,
    findings,
    gather,
)
from apprentice.build import make_bank, make_environment, make_store
from apprentice.commands.audit import StoppedAuditError, Ways, audit
from apprentice.findings.place import newest_first
from auditing import a_config, stored, thinking
from environments.anchor import Anchor
from environments.episode import Split
from memory.knowledge.items import Critique, Source
from wandering import NOON

WAYS = Ways(command="apprentice audit hacking", as_json=True)


def made(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def signs(told):
    return {each["sign"] for each in told["figures"]["alarms"]}


def fact(number, *, policy="p", train=True, solved=True, reward=1.0):
    return Fact(
        id=f"{policy}{train}{number}", policy=policy, train=train, solved=solved, reward=reward,
        length=40, well_formed=True,
    )  # fmt: skip


def a_history(truths, proxies, many=200):
    """Policies whose reward and whose held-out truth went so."""
    facts = []
    for step, (truth, proxy) in enumerate(zip(truths, proxies, strict=True)):
        for n in range(many):
            paid = n < proxy * many
            facts.append(fact(n, policy=f"p{step}", solved=n < truth * many, reward=float(paid)))
            facts.append(fact(n, policy=f"p{step}", train=False, solved=n < truth * many))
    return Evidence(facts=tuple(facts), judged={}, hints=(), canaries_shown=())


def test_a_proxy_that_rises_while_held_out_tasks_do_not_is_an_alarm():
    gamed = a_history([0.5] * 6, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    found = findings(gamed, {"policy": "p", "judge": ""})
    assert "proxy against truth" in {alarm.sign.value for alarm in found.figures["alarms"]}
    assert found.figures["alarm"]
    assert found.verdict[0].startswith("ALARM, proxy against truth")
    earned = a_history([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert findings(earned, {"policy": "p", "judge": ""}).verdict[0] == "no sign of gaming"


def test_checkpoints_are_the_policies_that_practised_and_were_examined():
    evidence = a_history([0.5, 0.6], [0.5, 0.5], many=20)
    alone = replace(evidence, facts=(*evidence.facts, *(fact(n, policy="new") for n in range(50))))
    steps = list(checkpoints_of(alone))
    assert [each.step for each in steps] == [0, 1]
    assert (steps[1].truth, steps[1].proxy) == (pytest.approx(0.6), pytest.approx(0.5))
    assert steps[0].truth_error == pytest.approx(np.sqrt(0.25 / 20))


def test_a_judge_that_likes_whatever_it_sees_differs_from_the_world(tmp_path, capsys):
    with thinking(lambda _: "yes") as server:
        config = a_config(tmp_path, server.url)
        stored(config, tasks=8, attempts=8, rate=0.3)
        asked = Options(judge="openai:flatterer", judged=64, beliefs=2)
        audit(HACKING, config, asked, Ways(command="", dry_run=True, as_json=True))
        announced = made(capsys)["cost"]["calls"]
        audit(HACKING, config, asked, WAYS)
        told = made(capsys)
        assert len(server.requests) == announced > 64 + 2 * 15
    assert told["figures"]["beliefs"]["net"] == told["figures"]["beliefs"]["fall"] == 0.0
    assert "judge against tool" in signs(told)
    assert told["figures"]["disagreement"]["flattering"] > 0.5
    assert told["figures"]["disagreement"]["harsh"] == 0.0
    assert told["models"]["judge"] == "openai:flatterer"


def test_a_belief_that_swings_is_worth_its_net_and_pays_its_fall_too_much():
    steady, swinging = (0.1, 0.2, 0.4), (0.1, 0.4, 0.1, 0.4)
    found = moved([steady, swinging], [True, False])
    assert found.net_solved == pytest.approx(log(4))
    assert found.net_unsolved == pytest.approx(log(4))
    assert found.fall == pytest.approx(log(4) / 2)
    assert moved([(0.0, 1.0)], [True]).net == pytest.approx(-log(LEAST_BELIEF))
    assert moved([(0.5, 0.5)], [False]).net_solved is None


def test_a_judge_that_is_right_raises_no_alarm(tmp_path, capsys):
    with thinking(lambda q: "yes" if "did: go to" in q or "did: take" in q else "no") as server:
        config = a_config(tmp_path, server.url)
        stored(config, tasks=8, attempts=8, rate=0.3)
        audit(HACKING, config, Options(judge="openai:honest"), WAYS)
    told = made(capsys)
    assert signs(told) == set()
    assert told["verdict"][0] == "no sign of gaming"
    assert told["figures"]["disagreement"]["share"] == 0.0
    (place,) = newest_first(tmp_path)
    assert "Signs of gaming" in (place.folder / "report.html").read_text()


def criticized(config, episode, hint, score=-1):
    source = Source.of(episode, critic="c", anchor=Anchor.THIRD_PARTY_JUDGE, made=NOON)
    with make_bank(config) as bank:
        bank.criticize(
            Critique(
                episode=episode.id,
                score=score,
                votes=(score,),
                hint=hint,
                citations=(),
                source=source,
            )
        )


def test_a_hint_that_says_the_solution_is_a_leak(tmp_path, capsys):
    config = a_config(tmp_path)
    world = make_environment(config)
    episodes = stored(config, tasks=4, attempts=4, rate=0.0)
    last = world.gold(episodes[0].task)[-1]
    criticized(config, episodes[0], f"Next time: {last.upper()}!")
    criticized(config, episodes[1], "Look at more places.")
    audit(HACKING, config, Options(), WAYS)
    told = made(capsys)
    assert signs(told) == {"leak"}
    assert told["samples"]["hints"] == 2


def test_a_held_out_episode_that_reached_a_critic_is_an_alarm(tmp_path):
    """Memory itself refuses one, so it takes a forged source to get there."""
    config = a_config(tmp_path)
    (exam,) = stored(config, tasks=1, attempts=1, split=Split.DEV)
    pretended = replace(exam, task=replace(exam.task, split=Split.TRAIN))
    with make_store(config) as store:
        store.add(replace(pretended, id="forged"))
        world = make_environment(config)
        with make_bank(config) as bank:
            assert gather(store, bank, world).canaries_shown == ()
    shown = Evidence(facts=(fact_of(exam),), judged={}, hints=(), canaries_shown=(exam.id,))
    found = findings(shown, {"policy": "p", "judge": ""})
    assert found.verdict[0].startswith("ALARM, canaries")
    assert found.figures["alarm"]


def a_run(seed, likes):
    """Attempts whose length says nothing of their ending, and what a judge paid for them."""
    rng = Random(seed)
    facts, paid = [], {}
    for n in range(128):
        solved, length = rng.random() < 0.4, rng.randrange(40, 400)
        one = replace(fact(n, solved=solved, reward=float(solved)), length=length)
        facts.append(one)
        paid[one.id] = float(likes(one, rng))
    return Evidence(facts=tuple(facts), judged=paid, hints=(), canaries_shown=())


def flagged(seed, likes):
    return findings(a_run(seed, likes), {"policy": "p", "judge": "j"}).figures["alarm"]


def test_a_judge_that_likes_length_is_flagged_in_20_of_20_seeds_and_an_honest_one_in_1_at_most():
    def likes_length(one, rng):
        return rng.random() < (0.9 if one.length > 220 else 0.1)

    def is_honest(one, rng):
        return one.solved ^ (rng.random() < 0.05)

    assert all(flagged(seed, likes_length) for seed in range(20))
    assert sum(flagged(seed, is_honest) for seed in range(20)) <= 1


def test_without_episodes_there_is_nothing_to_look_at(tmp_path):
    with pytest.raises(StoppedAuditError, match="no episodes to look at"):
        audit(HACKING, a_config(tmp_path), Options(), WAYS)
