from distill.engine.sampling import stream
from distill.engine.schedule import GRACE, TICK_TOKENS, WORTH_COPYING, Planned, Schedule, Writing
from distill.sequences.trie import grow

RULES = tuple(range(100, 100 + 2 * WORTH_COPYING + 8))


def ask(schedule: Schedule, episode: str, *tokens: int) -> Writing:
    writing = Writing(episode, tokens, None, stream(0))
    schedule.waiting.append(writing)
    return writing


def fed(planned: list[Planned]) -> dict[str, tuple[int, int, int]]:
    """Return for each episode fed: its lane, what stays, how many tokens are new."""
    return {
        each.writing.episode: (each.feed.lane, each.feed.start, len(each.feed.ids))
        for each in planned
    }


def test_a_next_turn_is_fed_only_what_its_lane_does_not_hold():
    schedule = Schedule(2, rewinds=True)
    schedule.finish([ask(schedule, "a", 1, 2, 3)][:0])
    assert fed(schedule.plan()) == {"a": (0, 0, 3)}
    schedule.finish([each.writing for each in schedule.plan()])
    ask(schedule, "a", 1, 2, 3, 4, 5)
    assert fed(schedule.plan()) == {"a": (0, 3, 2)}


def test_a_transcript_that_changed_is_fed_from_where_it_differs():
    schedule = Schedule(1, rewinds=True)
    first = ask(schedule, "a", 1, 2, 3, 4)
    schedule.plan()
    schedule.finish([first])
    ask(schedule, "a", 1, 2, 9)
    assert fed(schedule.plan()) == {"a": (0, 2, 1)}


def test_where_a_lane_cannot_go_back_it_starts_over():
    schedule = Schedule(1, rewinds=False)
    first = ask(schedule, "a", 1, 2, 3, 4)
    schedule.plan()
    schedule.finish([first])
    ask(schedule, "a", 1, 2, 9)
    assert fed(schedule.plan()) == {"a": (0, 0, 3)}


def test_the_last_token_is_fed_even_if_it_is_held():
    schedule = Schedule(1, rewinds=True)
    first = ask(schedule, "a", 1, 2, 3)
    schedule.plan()
    schedule.finish([first])
    ask(schedule, "a", 1, 2, 3)
    assert fed(schedule.plan()) == {"a": (0, 2, 1)}


def test_an_opening_that_many_share_is_computed_once():
    schedule = Schedule(3, rewinds=True)
    for name in "abc":
        ask(schedule, name, *RULES, ord(name))
    assert fed(schedule.plan()) == {"a": (0, 0, len(RULES) + 1)}
    later = schedule.plan()
    assert fed(later)["b"] == (1, len(RULES), 1)
    assert fed(later)["c"] == (2, len(RULES), 1)
    assert [each.feed.donor for each in later] == [None, 0, 0]


def test_nothing_is_copied_that_this_tick_only_plans_to_compute():
    schedule = Schedule(2, rewinds=True)
    first = ask(schedule, "a", *RULES, 1)
    schedule.plan()
    schedule.finish([first])
    longer = (*RULES, *range(500, 600))
    ask(schedule, "a", *longer)
    ask(schedule, "b", *longer)
    assert fed(schedule.plan()) == {"a": (0, len(RULES), 100)}
    assert fed(schedule.plan())["b"] == (1, len(longer) - 1, 1)


def test_a_living_episode_keeps_its_lane_when_a_new_one_comes_first():
    schedule = Schedule(2, rewinds=True)
    turns = [ask(schedule, "a", 1, 2), ask(schedule, "b", 1, 3)]
    schedule.plan()
    schedule.finish(turns)
    ask(schedule, "new", 5, 6)
    ask(schedule, "b", 1, 3, 4)
    assert fed(schedule.plan())["b"] == (1, 2, 1)
    assert "new" not in fed(schedule.plan())
    for _ in range(GRACE):
        planned = fed(schedule.plan())
    assert planned["new"][0] == 0


def test_an_idle_lane_is_taken_at_once_when_nothing_else_is_to_be_done():
    schedule = Schedule(1, rewinds=True)
    first = ask(schedule, "a", 1, 2)
    schedule.plan()
    schedule.finish([first])
    ask(schedule, "b", 1, 3)
    assert fed(schedule.plan()) == {"b": (0, 1, 1)}


def test_more_turns_than_lanes_wait_for_one():
    schedule = Schedule(1, rewinds=True)
    first = ask(schedule, "a", 1, 2)
    ask(schedule, "b", 7, 8)
    assert set(fed(schedule.plan())) == {"a"}
    schedule.finish([first])
    assert set(fed(schedule.plan())) == {"b"}
    assert schedule.busy


def test_a_long_prompt_is_fed_over_several_ticks_and_short_ones_go_first():
    schedule = Schedule(2, rewinds=True)
    ask(schedule, "long", *range(1000, 1000 + TICK_TOKENS + 5))
    ask(schedule, "short", 1, 2)
    assert fed(schedule.plan()) == {"short": (1, 0, 2), "long": (0, 0, TICK_TOKENS - 2)}
    last = schedule.plan()
    assert fed(last)["long"] == (0, TICK_TOKENS - 2, 7)
    assert all(each.complete for each in last)


def test_a_turn_given_up_frees_its_lane():
    schedule = Schedule(1, rewinds=True)
    gone = ask(schedule, "a", 1, 2)
    schedule.plan()
    schedule.finish([gone])
    assert not schedule.busy


def test_forced_tokens_cost_nothing_and_are_certain():
    writing = Writing("a", (1,), grow([(7, 8, 1, 0), (7, 8, 2, 0)]), stream(0))
    assert writing.ids == [7, 8]
    writing.append(2, -0.5)
    assert writing.ids == [7, 8, 2, 0]
    assert writing.logprobs == [0.0, 0.0, -0.5, 0.0]
    assert writing.determined
