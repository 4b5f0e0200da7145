"""The pages in a real browser: walked, read, measured; skipped where there is no Chromium."""

import re
import shutil
from pathlib import Path

import pytest

from apprentice.web.app import create_app
from bench.windows import serving
from windowed import hostile, looking, real_home

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="no Chromium here: apt-get install chromium chromium-driver",
    ),
]

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
"""axe-core 4.14.1, as npm has it (MPL-2.0): rules of accessibility, run inside the page."""

SERIOUS = ("serious", "critical")
WAIT_S = 20.0


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    made = real_home(tmp_path_factory.mktemp("browsed"))
    hostile(made)
    return made


@pytest.fixture(scope="module")
def site(config):
    with looking(config, hosts=("127.0.0.1",)) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(site):
    with serving(create_app(site)) as where:
        yield where


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


def find(browser, selector):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, WAIT_S).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, selector)
    )


def main_text(browser):
    return find(browser, "main").text


def paths(site):
    rows = site.pages.episodes(limit=3).rows
    item = site.bank.items()[0]
    (run,) = site.store.runs()
    return {
        "overview": "/",
        "episodes": "/episodes",
        "episode": f"/episodes/{(site.bank.critiques(rows[1].id) and rows[1].id) or rows[2].id}",
        "beside": f"/episodes/{rows[1].id}/beside/{rows[2].id}",
        "skills": "/skills",
        "skill": f"/skills/{item.id}",
        "adapters": "/adapters",
        "adapter": "/adapters/distilled-0002",
        "runs": "/runs",
        "run": f"/runs/{run.id}",
        "hostile": "/episodes/hostile",
    }


def test_no_page_complains_asks_another_host_or_keeps_anyone_out(browser, address, site):
    for name, path in paths(site).items():
        browser.get(address + path)
        assert find(browser, "h1").text, name
        complaints = [
            each for each in browser.get_log("browser") if each["level"] in ("SEVERE", "WARNING")
        ]
        assert complaints == [], name
        traffic = str(browser.get_log("performance")).replace('\\"', '"')
        asked = set(re.findall(r'"url":"(https?://[^/"]+)', traffic))
        assert asked <= {address}, name
        browser.execute_script(AXE.read_text(encoding="utf-8"))
        faults = browser.execute_async_script(
            "const done = arguments[0]; axe.run().then(found => done(found.violations))"
        )
        grave = [
            (fault["id"], fault["nodes"][0]["html"])
            for fault in faults
            if fault["impact"] in SERIOUS
        ]
        assert grave == [], name


def test_what_is_read_equals_the_store_and_links_lead_down_to_the_episode(browser, address, site):
    browser.get(address)
    (tally,) = [each for each in site.pages.tallies(9) if each.episodes > 1]
    assert f"{tally.solved} of {tally.episodes}" in main_text(browser)

    find(browser, "nav a[data-key=s]").click()
    find(browser, "input[type=search]").send_keys("desklamp\n")
    find(browser, "tr[data-row] a").click()
    assert "Why it is here" in main_text(browser)
    find(browser, "ul.tree a[href^='/episodes/']").click()
    episode = site.store.get(browser.current_url.split("/episodes/")[1].split("#")[0])
    assert episode.task.goal in main_text(browser)
    assert len(browser.find_elements("css selector", "li.step")) == len(episode.steps)


def test_keys_lead_through_the_pages(browser, address, site):
    from selenium.webdriver.common.keys import Keys

    browser.get(address)
    find(browser, "body").send_keys("ge")
    assert find(browser, "h1").text == "Episodes"
    find(browser, "body").send_keys("jj")
    find(browser, "tr.at")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    second = site.pages.episodes(limit=2).rows[1]
    assert find(browser, "h1").text == second.goal
    find(browser, "body").send_keys("?")
    assert find(browser, "dialog[open] h2").text == "Keys"


def test_words_that_want_to_act_do_nothing_in_a_browser(browser, address):
    for path in ("/episodes/hostile", "/skills", "/episodes"):
        browser.get(address + path)
        assert browser.title != "owned"
        assert "<script>document.title" in find(browser, "body").text
        assert browser.find_elements("css selector", "main img, main script") == []


def test_pages_fit_a_telephone_and_do_not_shift(browser, address, site):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        for name, path in paths(site).items():
            browser.get(address + path)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= 390, name
            shift = browser.execute_async_script(
                "const done = arguments[0]; let sum = 0;"
                "new PerformanceObserver(list => list.getEntries().forEach(e => sum += e.value))"
                ".observe({type: 'layout-shift', buffered: true});"
                "setTimeout(() => done(sum), 200)"
            )
            assert shift < 0.01, name
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_screens_get_dark_pages(browser, address):
    shades = {}
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        browser.get(address)
        shades[scheme] = browser.execute_script(
            "return getComputedStyle(document.body).backgroundColor"
        )
        browser.execute_script(AXE.read_text(encoding="utf-8"))
        faults = browser.execute_async_script(
            "const done = arguments[0];"
            "axe.run({runOnly: ['color-contrast']}).then(found => done(found.violations.length))"
        )
        assert faults == 0, scheme
    assert shades == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 27)"}
