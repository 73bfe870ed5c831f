"""The page as a person opens it: from a file, without a network, on a desk and on a phone."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (400, 1400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.fail(
            "chromium and chromedriver are needed: apt-get install chromium chromium-driver"
        )
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            yield chrome
        finally:
            chrome.quit()


@pytest.fixture(params=WIDTHS)
def opened(browser: Any, written: Path, request: pytest.FixtureRequest) -> Any:
    _open(browser, written, request.param)
    return browser


@pytest.fixture
def page(browser: Any, written: Path) -> Any:
    _open(browser, written, 1400)
    return browser


def _open(browser: Any, folder: Path, width: int) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get((folder / "report.html").as_uri())
    drawn = "return document.documentElement.dataset.drawn === 'true'"
    WebDriverWait(browser, 60, 0.1).until(lambda chrome: chrome.execute_script(drawn))


def test_it_loads_without_errors_and_without_a_network(opened: Any) -> None:
    assert opened.get_log("browser") == []
    requests = [
        entry["message"]
        for entry in opened.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert requests
    assert not [text for text in requests if '"url":"http' in text or '"url":"ws' in text]


def test_nothing_overflows(opened: Any) -> None:
    page, window = opened.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert page <= window
    wide = opened.execute_script(
        "return [...document.querySelectorAll('.chart')]"
        ".filter(chart => chart.querySelector('svg.marks, canvas.marks')"
        ".getBoundingClientRect().right > chart.getBoundingClientRect().right + 1)"
        ".map(chart => chart.dataset.figure)"
    )
    assert wide == []


# An SVG clips what does not fit, so that a label may be cut and the page be no wider for it.
CUT_TEXTS = """
return [...document.querySelectorAll('svg.marks')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const own = text.getBoundingClientRect();
    return own.width && text.getAttribute('opacity') !== '0'
      && (own.left < box.left - 1 || own.right > box.right + 1
          || own.top < box.top - 1 || own.bottom > box.bottom + 1);
  }).map(text => `${svg.closest('.chart').dataset.figure}: ${text.textContent}`);
});
"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("folder", ["written", "tuned"])
def test_no_text_of_a_figure_is_cut(
    browser: Any, request: pytest.FixtureRequest, folder: str, width: int
) -> None:
    _open(browser, request.getfixturevalue(folder), width)
    assert browser.execute_script(CUT_TEXTS) == []
    assert browser.get_log("browser") == []


def test_tables_of_one_configuration_at_a_time(browser: Any, tuned: Path) -> None:
    from selenium.webdriver.support.ui import Select

    _open(browser, tuned, 1400)
    choices = browser.find_element("css selector", ".choices")
    choices.find_element("css selector", "summary").click()
    shown = [c for c in choices.find_elements("css selector", ".choice") if c.is_displayed()]
    assert len(shown) == 1
    select = Select(choices.find_element("css selector", "select"))
    assert len(select.options) == 8
    select.select_by_index(5)
    every = choices.find_elements("css selector", ".choice")
    assert [c.is_displayed() for c in every] == [place == 5 for place in range(8)]


def test_every_figure_is_drawn(opened: Any) -> None:
    heights = opened.execute_script(
        "return [...document.querySelectorAll('.chart')].map(chart =>"
        " chart.querySelector('svg.marks, canvas.marks').getBoundingClientRect().height)"
    )
    assert len(heights) >= 5
    assert min(heights) > 50


# The series that the first figure still draws: the data that reaches its marks.
DRAWN_SERIES = """
const [{ view }] = views.values();
const names = new Set();
const visit = (item) => {
  if (item.datum && item.datum.series_name !== undefined) names.add(item.datum.series_name);
  (item.items ?? []).forEach(visit);
};
visit(view.scenegraph().root);
return [...names].sort();
"""


def _settle(browser: Any) -> None:
    browser.execute_async_script(
        "const done = arguments[0];"
        "Promise.all([...views.values()].map(({ view }) => view.runAsync())).then(() => done())"
    )


def test_the_legend_hides_and_shows_curves(page: Any) -> None:
    before = page.execute_script(DRAWN_SERIES)
    assert "he_uniform" in before
    entry = page.find_element("css selector", '.legend [data-series="he_uniform"]')
    entry.click()
    _settle(page)
    assert entry.get_attribute("aria-pressed") == "false"
    assert page.execute_script(DRAWN_SERIES) == [name for name in before if name != "he_uniform"]
    page.find_element("css selector", ".legend .all").click()
    _settle(page)
    assert page.execute_script(DRAWN_SERIES) == before


def test_a_double_click_shows_one_alone(page: Any) -> None:
    from selenium.webdriver import ActionChains

    entry = page.find_element("css selector", '.legend [data-series="zero"]')
    ActionChains(page).double_click(entry).perform()
    _settle(page)
    assert page.execute_script(DRAWN_SERIES) == ["zero"]


AXIS = """
const { view } = views.get(charts.find((chart) => chart.dataset.figure === 'curves_loss'));
let type = null;
const visit = (item) => {
  if (item.context && item.context.scales?.y) type = item.context.scales.y.value.type;
  (item.items ?? []).forEach(visit);
};
visit(view.scenegraph().root);
return type ?? view.scale('y').type;
"""


def test_an_axis_changes_between_linear_and_logarithmic(page: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    button = page.find_element("css selector", 'button[data-axis="curves_loss"]')
    assert not page.find_elements("css selector", 'button[data-axis="curves_accuracy"]')
    before = page.execute_script(AXIS)
    assert (before == "log") == (button.get_attribute("aria-pressed") == "true")
    button.click()
    WebDriverWait(page, 20, 0.1).until(lambda chrome: chrome.execute_script(AXIS) != before)
    assert {before, page.execute_script(AXIS)} == {"linear", "log"}
    assert page.get_log("browser") == []


def test_drawing_twice_at_once_leaves_every_chart(page: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    page.execute_script("drawAll(); drawAll();")
    WebDriverWait(page, 60, 0.1).until(
        lambda chrome: chrome.execute_script(
            "return document.documentElement.dataset.drawn === 'true'"
        )
    )
    drawn = page.execute_script(
        "return charts.map(chart => chart.querySelectorAll('svg.marks, canvas.marks').length)"
    )
    assert drawn == [1] * len(drawn)
    assert page.get_log("browser") == []


def test_figures_can_be_saved(page: Any) -> None:
    figures = page.find_elements("css selector", ".chart")
    for figure in figures:
        links = [
            link.get_attribute("textContent")
            for link in figure.find_elements("css selector", ".vega-actions a")
        ]
        assert links == ["Save as SVG", "Save as PNG"]


def test_contents_lead_to_their_sections(page: Any) -> None:
    page.find_element("css selector", 'nav a[href="#differences"]').click()
    top = page.execute_script(
        "return document.querySelector('#differences').getBoundingClientRect().top"
    )
    assert 0 <= top < 200


def test_hidden_curves_stay_hidden_when_the_window_changes(page: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    page.find_element("css selector", '.legend [data-series="he_uniform"]').click()
    size = {"width": 700, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    WebDriverWait(page, 30, 0.1).until(
        lambda chrome: chrome.execute_script(
            "return drawnWidth < 700 && charts.every(chart => views.get(chart) &&"
            " chart.querySelector('svg.marks, canvas.marks')?.getBoundingClientRect().width < 700)"
        )
    )
    assert "he_uniform" not in page.execute_script(DRAWN_SERIES)


def _column(browser: Any, title: str) -> tuple[Any, list[str]]:
    titles = browser.find_elements("css selector", "#comparison th button")
    place = [button.text for button in titles].index(title)
    cells = browser.find_elements("css selector", f"#comparison td:nth-child({place + 1})")
    return titles[place], [cell.text for cell in cells]


def test_the_table_sorts_by_number_and_by_text(page: Any) -> None:
    button, _ = _column(page, "mean")
    button.click()
    known = [float(text) for text in _column(page, "mean")[1] if text[0].isdigit()]
    assert known == sorted(known)
    assert not _column(page, "mean")[1][-1][0].isdigit()  # what is missing stands last
    button.click()
    assert [float(t) for t in _column(page, "mean")[1] if t[0].isdigit()] == known[::-1]
    assert not _column(page, "mean")[1][-1][0].isdigit()
    button, texts = _column(page, "initializer")
    button.click()
    assert sorted(_column(page, "initializer")[1]) == sorted(texts)
    assert page.execute_script(
        "const texts = [...document.querySelectorAll('#comparison td:nth-child(2)')]"
        ".map(cell => cell.textContent);"
        "return texts.every((text, i) => !i || texts[i - 1].localeCompare(text) <= 0)"
    )


def test_hovering_tells_the_numbers(page: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    mark = page.find_element("css selector", '[data-figure="statuses"] .mark-rect path')
    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", mark)
    ActionChains(page).move_to_element(mark).perform()
    tooltip = WebDriverWait(page, 10, 0.1).until(
        lambda chrome: chrome.find_elements("css selector", "#vg-tooltip-element.visible")
    )[0]
    assert "count" in tooltip.text


def test_hostile_labels_run_nothing(page: Any) -> None:
    shown = page.find_element("css selector", "#comparison").text
    assert "<script>alert(1)</script>" in shown
    assert page.get_log("browser") == []
