import re
from datetime import UTC, datetime
from html import unescape

import pytest
from starlette.testclient import TestClient

from apprentice.gate.gate import Gated
from apprentice.loop.reports import Examined, Promoted, Record
from apprentice.web.app import create_app
from apprentice.web.guard import COOKIE
from apprentice.web.overview import learning
from examining import a_comparison
from memory.knowledge.items import Standing, text_of
from memory.proof.credit import credit
from memory.proof.proof import Outcome, judge
from memory.proof.rounds import Round
from memory.proof.sequential import Plan
from store_worker import an_episode
from windowed import hostile, looking, real_home

HERE = ("127.0.0.1",)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return real_home(tmp_path_factory.mktemp("windowed"))


@pytest.fixture(scope="module")
def site(config):
    with looking(config, hosts=HERE) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(site):
    with TestClient(create_app(site), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(scope="module")
def editor(config):
    with looking(config, token=TOKEN, edits=True) as opened:
        client = TestClient(create_app(opened), base_url="http://127.0.0.1")
        client.cookies.set(COOKIE, TOKEN)
        yield opened, client


def text(response):
    """Return the words of a page."""
    assert response.status_code == 200, response.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


def seal_in(response):
    return re.search(r'name="seal" value="([0-9a-f]+)"', response.text)[1]


def test_the_overview_says_what_the_store_says(site, pages):
    (tally,) = site.pages.tallies(9)
    said = text(pages.get("/"))
    assert f"{tally.solved} of {tally.episodes} solved" in said
    assert tally.run in said
    assert f"{site.pages.standings()['candidate']} candidates" in said
    assert "distilled-0002" in said
    assert pages.get("/").text.count("<svg") == 1


def test_episodes_are_filtered_and_searched_and_their_links_can_be_kept(site, pages):
    rows = site.pages.episodes(limit=50).rows
    word = rows[0].goal.split()[-1].strip(".")
    asked = pages.get("/episodes", params={"q": word, "ending": rows[0].ending.value})
    found = site.pages.episodes(words=word, ending=rows[0].ending, limit=50).rows
    assert re.findall(r'href="/episodes/(\w+)"', asked.text) == [row.id for row in found]
    assert f'value="{word}"' in asked.text
    assert "No episode is like this" in text(pages.get("/episodes?q=nowherewordy"))


def test_an_episode_reads_as_it_was_with_what_was_said_of_it(site, pages):
    ids = [row.id for row in site.pages.episodes(limit=50).rows]
    criticized = next(id for id in ids if site.bank.critiques(id))
    episode, (critique, *_) = site.store.get(criticized), site.bank.critiques(criticized)
    page = pages.get(f"/episodes/{criticized}")
    said = text(page)
    for step in (episode.steps[0], episode.steps[-1]):
        assert " ".join(step.observation.split()) in said
        assert step.action in said
    assert " ".join(critique.hint.split()) in said
    assert page.text.count('id="step-') == len(episode.steps) + 1
    assert f'href="#step-{critique.citations[0].step}"' in page.text
    assert "shown" in said or "left out by lot" in said


def test_two_attempts_stand_side_by_side_and_part_where_they_part(site, pages):
    left, right = (site.store.get(row.id) for row in site.pages.episodes(limit=2).rows)
    mine, others = ([(each.observation, each.action) for each in e.steps] for e in (left, right))
    parts = next(n for n, pair in enumerate(zip(mine, others, strict=False)) if len({*pair}) == 2)
    page = pages.get(f"/episodes/{left.id}/beside/{right.id}")
    assert f"They part at step {parts + 1}" in text(page)
    assert page.text.count("first difference") == 1
    assert "the same" in text(pages.get(f"/episodes/{left.id}/beside/{left.id}"))


def test_a_memory_shows_its_uplift_and_leads_down_to_its_episode(site, pages):
    item = site.bank.items()[0]
    earned = credit(item.id, site.bank.uses(item.id))
    said = text(pages.get(f"/skills/{item.id}"))
    assert f"{earned.uplift.estimate:+.2f}" in said
    assert f"uses {earned.uses}" in said
    links = re.findall(r'href="(/episodes/[^"]+)"', pages.get(f"/skills/{item.id}").text)
    assert any(item.source.episodes[0] in link for link in links)
    assert all(pages.get(link.split("#")[0]).status_code == 200 for link in set(links))
    listed = text(pages.get("/skills"))
    assert f"{earned.uplift.interval.low:+.2f} to {earned.uplift.interval.high:+.2f}" in listed


def test_memories_are_found_by_words_and_standing(site, pages):
    active = pages.get("/skills?standing=active").text
    assert re.findall(r'href="/skills/(\w+)"', active) == [site.bank.items()[0].id]
    word = text_of(site.bank.items()[0]).split()[-1].strip(".")
    assert site.bank.items()[0].id in pages.get(f"/skills?q={word}").text


def test_adapters_show_their_descent_their_gate_and_what_they_learned_from(site, pages):
    said = text(pages.get("/adapters"))
    assert said.index("distilled-0001") < said.index("distilled-0002")
    page = pages.get("/adapters/distilled-0002")
    assert "promote: 21 wins, 6 losses in 60 pairs" in text(page)
    episodes = site.adapters.lineage("distilled-0002").episodes
    assert all(f"/episodes/{id}" in page.text for id in episodes)


def test_what_is_stored_while_one_looks_is_on_the_next_page(site, pages):
    (run,) = site.store.runs()
    before = text(pages.get(f"/runs/{run.id}"))
    tally = site.pages.tally(run.id)
    assert f"{tally.episodes} of {run.episodes} episodes kept" in before
    site.store.add(an_episode("late", run=run.id))
    assert f"{tally.episodes + 1} of {run.episodes} episodes kept" in text(
        pages.get(f"/runs/{run.id}")
    )
    site.bank.forget("late", "only a test", site.clock())


def test_the_practice_of_a_round_is_no_run_of_its_own_and_its_link_leads_to_its_episodes(
    site, pages
):
    site.store.add(an_episode("practised", run="round-1-practice"))
    shown = pages.get("/runs/round-1-practice")
    assert shown.url.path == "/episodes"
    assert re.findall(r'href="/episodes/(\w+)"', shown.text) == ["practised"]
    site.bank.forget("practised", "only a test", site.clock())
    assert pages.get("/runs/round-1-practice").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/episodes/nowhere", 404),
        ("/skills/L999", 404),
        ("/adapters/nobody", 404),
        ("/audits/none", 404),
        ("/episodes?ending=blue", 404),
        ("/nothing", 404),
        ("/skills/D1?old=x", 422),
    ],
)
def test_what_is_not_there_is_said_in_one_line(pages, path, status):
    response = pages.get(path)
    assert response.status_code == status
    assert "Traceback" not in response.text


def test_words_that_want_to_act_are_only_words(config, pages):
    episode, lesson = hostile(config)
    for path in (
        "/",
        "/episodes",
        f"/episodes/{episode}",
        f"/episodes/{episode}/beside/{episode}",
        "/skills",
        f"/skills/{lesson}",
        "/episodes?q=<script>alert(1)</script>",
        "/skills?kind=%22%3E%3Cscript%3E",
        "/<script>",
    ):
        shown = pages.get(path).text
        assert "<script>d" not in shown
        assert "<script>a" not in shown
        assert "<img" not in shown
        assert not set("\x1b\u202e") & set(shown), path
    told = pages.get(f"/episodes/{episode}").text
    assert "&lt;script&gt;document.title" in told
    assert r"\x1b[31mred \x202egnp" in told


def test_a_page_may_load_nothing_but_what_this_server_gives_it(pages):
    response = pages.get("/")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', response.text)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_server_that_is_called_by_another_name_does_not_answer(pages):
    assert pages.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert pages.get("/", headers={"Host": "127.0.0.1:8642"}).status_code == 200


def test_where_a_token_is_needed_nothing_is_shown_without_it(config):
    with looking(config, token=TOKEN) as opened:
        client = TestClient(create_app(opened), base_url="http://10.0.0.7")
        for path in ("/", "/static/style.css", "/episodes"):
            assert client.get(path).status_code == 401
        assert client.get("/", params={"token": "wrong"}).status_code == 401
        entered = client.get("/episodes?q=a&token=" + TOKEN, follow_redirects=False)
        assert entered.headers["location"] == "/episodes?q=a"  # the token leaves the address
        assert "httponly" in entered.headers["set-cookie"].lower()
        assert client.get("/").status_code == 200  # the cookie is enough from now on


def test_pages_for_reading_change_nothing(site, pages):
    item = site.bank.items()[0]
    assert 'method="post"' not in pages.get(f"/skills/{item.id}").text
    answer = pages.post(f"/skills/{item.id}/standing", data={"to": "retired", "why": "x"})
    assert answer.status_code == 403
    assert site.bank.get(item.id).standing is item.standing


def test_an_editor_approves_and_annotates_and_a_form_of_another_site_does_nothing(editor):
    site, client = editor
    item = next(each for each in site.bank.items(standing=Standing.CANDIDATE))
    page = client.get(f"/skills/{item.id}")
    move = {"to": "active", "why": "read it"}
    forged = client.post(f"/skills/{item.id}/standing", data=move | {"seal": "0" * 64})
    assert forged.status_code == 403
    assert site.bank.get(item.id).standing is Standing.CANDIDATE
    client.post(f"/skills/{item.id}/standing", data=move | {"seal": seal_in(page)})
    assert site.bank.get(item.id).standing is Standing.ACTIVE
    assert site.bank.history(item.id)[-1].why == "read it"

    episode = site.store.get(site.pages.episodes(limit=1).rows[0].id)
    note = {"score": "1", "step": "", "action": "", "note": "well done", "seal": seal_in(page)}
    client.post(f"/episodes/{episode.id}/annotations", data=note)
    assert [(said.score, said.note) for said in site.annotations.of(episode.id)] == [
        (1, "well done")
    ]
    odd = client.post(f"/episodes/{episode.id}/annotations", data=note | {"score": "x"})
    assert odd.status_code == 400
    assert len(site.annotations.of(episode.id)) == 1


def a_lived_round(number, before, after, outcome):
    """Return a round whose exam had these answers, and its record."""
    compared = a_comparison(before, after)
    verdict = judge(compared.pairs, Plan(level=0.05, pairs=len(before), worthwhile=0.5))
    gated = Gated(compared=compared, anchors=a_comparison([], []), tolerated=0, verdict=verdict)
    promoted = Promoted(acting="a", outcome=outcome, internalised=(), tokens_saved=0.0)
    round = Round(id=f"r{number}", number=number, seed=0, settings="{}", started=NOON)
    return round, Record(examine=Examined(gated=gated, level=0.05), promote=promoted)


def test_the_learning_curve_is_what_the_exams_of_the_rounds_said():
    lived = [
        a_lived_round(1, [False] * 8, [True] * 6 + [False] * 2, Outcome.PROMOTE),
        (Round(id="r2", number=2, seed=0, settings="{}", started=NOON), Record()),  # under way
        a_lived_round(3, [True] * 6 + [False] * 2, [True] * 7 + [False], Outcome.REJECT),
    ]
    acted, tried, promoted = learning(lived).curves
    assert [(dot.x, dot.y) for dot in acted.dots] == [(1, 0.0), (3, 0.75)]
    assert [(dot.x, dot.y) for dot in tried.dots] == [(1, 0.75), (3, 0.875)]
    assert [dot.x for dot in promoted.dots] == [1]
    assert all(dot.low <= dot.y <= dot.high for dot in (*acted.dots, *tried.dots))
