from dataclasses import replace
from datetime import timedelta

from bank_builders import a_lesson, a_skill
from environments.episode import Ending, Split
from memory.bank.bank import Bank
from memory.bank.pages import Pages
from memory.knowledge.items import Lesson, Standing
from memory.store.records import Run
from memory.store.store import Store
from store_worker import MORNING, an_episode


def lived(database, *episodes):
    with Store.open(database) as store:
        store.add_all(episodes)


def numbered(number, **changes):
    when = MORNING + timedelta(minutes=number)
    return an_episode(f"e{number:02}", started=when, **changes)


def all_pages(pages, **asked):
    """Follow the pages to the last, and return the ids on each."""
    found, before = [], None
    while True:
        page = pages.episodes(before=before, **asked)
        found.append([row.id for row in page.rows])
        before = page.older
        if before is None:
            return found


def test_pages_are_found_by_keys_and_together_hold_each_episode_once(database):
    lived(database, *(numbered(number) for number in range(7)))
    with Pages.open(database) as pages:
        assert all_pages(pages, limit=3) == [
            ["e06", "e05", "e04"],
            ["e03", "e02", "e01"],
            ["e00"],
        ]
        assert all_pages(pages, limit=7)[0][-1] == "e00"
        assert len(all_pages(pages, limit=7)) == 1


def test_what_is_stored_between_two_pages_moves_nothing(database):
    lived(database, *(numbered(number) for number in range(4)))
    with Pages.open(database) as pages:
        first = pages.episodes(limit=2)
        lived(database, numbered(9))
        second = pages.episodes(limit=2, before=first.older)
        assert [row.id for row in second.rows] == ["e01", "e00"]


def test_episodes_are_found_by_any_word_that_was_seen_or_done(database):
    seen = numbered(1)
    step = replace(seen.steps[0], observation="A teapot stands on the dresser.")
    lived(database, numbered(0), replace(seen, steps=(step, *seen.steps[1:])))
    with Pages.open(database) as pages:
        assert [row.id for row in pages.episodes(words="TEAPOT dresser", limit=9).rows] == ["e01"]
        assert pages.episodes(words="teapot nowhere", limit=9).rows == ()
        assert len(pages.episodes(words='"; DROP', limit=9).rows) == 0
        assert len(pages.episodes(words="--", limit=9).rows) == 2  # no word: nothing to look for


def test_words_and_filters_hold_together_page_by_page(database):
    endings = [Ending.SOLVED if number % 2 else Ending.TRUNCATED for number in range(8)]
    lived(database, *(numbered(number, ending=ending) for number, ending in enumerate(endings)))
    goal = numbered(0).task.goal.split()[0]
    with Pages.open(database) as pages:
        found = all_pages(pages, words=goal, ending=Ending.SOLVED, limit=3)
        assert found == [["e07", "e05", "e03"], ["e01"]]


def test_a_forgotten_episode_is_no_longer_found_by_its_words(database):
    lived(database, numbered(0), numbered(1))
    goal = numbered(0).task.goal
    with Bank.open(database) as bank:
        bank.forget("e00", "asked for", MORNING)
    with Pages.open(database) as pages:
        assert [row.id for row in pages.episodes(words=goal, limit=9).rows] == ["e01"]


def test_an_episode_that_is_stored_twice_is_found_once(database):
    lived(database, numbered(0), numbered(0))
    lived(database, numbered(0))
    with Pages.open(database) as pages:
        assert len(pages.episodes(words=numbered(0).task.goal, limit=9).rows) == 1


def a_run(id, number):
    return Run(
        id=id,
        environment="workshop",
        split=Split.TRAIN,
        policy="random",
        seed=0,
        episodes=3,
        started=MORNING + timedelta(hours=number),
        settings="{}",
    )


def test_a_tally_counts_what_is_stored_of_a_run(database):
    endings = [Ending.SOLVED, Ending.TRUNCATED, Ending.BROKEN, Ending.SOLVED]
    made = [
        numbered(number, run="r1", ending=ending, error="x" if ending is Ending.BROKEN else None)
        for number, ending in enumerate(endings)
    ]
    lived(database, *made, numbered(8, run="r2"))
    with Store.open(database) as store:
        for number, id in enumerate(("r1", "r2", "empty")):
            store.begin_run(a_run(id, number))
    with Pages.open(database) as pages:
        first, second = pages.tallies(9)
        assert (first.run, first.episodes, first.solved, first.broken) == ("r1", 4, 2, 1)
        assert first.steps == sum(len(each.steps) for each in made)
        assert first.prompt_tokens == sum(each.prompt_tokens for each in made)
        assert (first.first, first.last) == (made[0].started, made[-1].started)
        assert second.run == "r2"
        assert pages.tallies(1) == ()  # the newest has no episode
        assert pages.tally("empty") is None


def test_the_choices_are_the_values_that_are_there(database):
    lived(database, numbered(0, policy="random"), numbered(1, policy="scripted"))
    with Pages.open(database) as pages:
        assert pages.choices()["policy"] == ("random", "scripted")
        assert pages.choices()["split"] == ("train",)


def test_items_come_newest_first_in_pages_that_do_not_overlap(database):
    lived(database, an_episode("e1"))
    with Bank.open(database) as bank:
        made = [bank.add(a_lesson("e1", when=f"case {number}")) for number in range(5)]
        skill = bank.add(a_skill("e1"))
        bank.set_standing(made[0].id, Standing.RETIRED, "old", MORNING)
    with Pages.open(database) as pages:
        first = pages.items(limit=4)
        second = pages.items(limit=4, before=first.older)
        ids = [item.id for item in (*first.items, *second.items)]
        assert ids == [skill.id, *(item.id for item in made[::-1])]
        assert second.older is None
        assert [item.id for item in pages.items(limit=9, standing=Standing.RETIRED).items] == [
            made[0].id
        ]
        assert len(pages.items(limit=9, type=Lesson).items) == 5
        assert pages.standings() == {"candidate": 5, "retired": 1}
        assert pages.changes(MORNING - timedelta(days=9), limit=1)[0].subject == made[0].id
