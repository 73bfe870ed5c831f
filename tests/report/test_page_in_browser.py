"""The page as a person opens it: from a file, without a network, on a desk and on a phone."""

import re
import shutil
import subprocess
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
WIDTHS = (360, 1400)


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


def _click(browser: Any, figure: str, tool: str) -> Any:
    button = browser.find_element(
        "xpath", f"//figure[.//*[@data-figure='{figure}']]//button[@data-tool='{tool}']"
    )
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", button)
    button.click()
    browser.execute_async_script("const done = arguments[0]; drawing.then(() => done())")
    return button


def test_an_axis_changes_between_linear_and_logarithmic(page: Any) -> None:
    before = page.execute_script(AXIS)
    button = _click(page, "curves_loss", "log")
    after = page.execute_script(AXIS)
    assert {before, after} == {"linear", "log"}
    assert (after == "log") == (button.get_attribute("aria-pressed") == "true")
    assert page.get_log("browser") == []


# The ends of the axes of a figure, the lower one first.
DOMAINS = """
const { view } = views.get(charts.find((chart) => chart.dataset.figure === arguments[0]));
return ['x', 'y'].map((name) => view.scale(name).domain());
"""


def test_the_error_of_accuracies_has_a_logarithmic_axis(page: Any) -> None:
    _, linear = page.execute_script(DOMAINS, "curves_accuracy")
    _click(page, "curves_accuracy", "log")
    _, (low, high) = page.execute_script(DOMAINS, "curves_accuracy")
    assert linear[1] > 0.9  # an accuracy
    assert 0 < low < 0.1 < 0.5 < high <= 1  # what it lacks: from that of a guess to the least one
    shown = page.execute_script("return charts[1].textContent")
    assert "error (1 \N{MINUS SIGN} accuracy)" in shown
    assert page.get_log("browser") == []


def test_a_figure_is_zoomed_and_moved_and_whole_again(page: Any) -> None:
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    whole = page.execute_script(DOMAINS, "curves_accuracy")
    _click(page, "curves_accuracy", "zoom")
    chart = page.find_element("css selector", '[data-figure="curves_accuracy"]')
    origin = ScrollOrigin.from_element(chart, -200, -30)
    ActionChains(page).scroll_from_origin(origin, 0, -200).perform()
    _settle(page)
    (left, right), (low, high) = page.execute_script(DOMAINS, "curves_accuracy")
    assert right - left < whole[0][1] - whole[0][0]
    assert high - low < whole[1][1] - whole[1][0]
    chart.send_keys(Keys.ARROW_RIGHT)
    _settle(page)
    moved = page.execute_script(DOMAINS, "curves_accuracy")[0]
    assert moved[0] - left == pytest.approx(moved[1] - right)
    assert moved[0] > left
    chart.send_keys("+")
    _settle(page)
    nearer = page.execute_script(DOMAINS, "curves_accuracy")[0]
    assert nearer[1] - nearer[0] < moved[1] - moved[0]
    _click(page, "curves_accuracy", "reset")
    assert page.execute_script(DOMAINS, "curves_accuracy") == whole
    assert page.get_log("browser") == []


def test_pointing_at_a_name_fades_the_others(page: Any) -> None:
    from selenium.webdriver import ActionChains

    entry = page.find_element("css selector", '.legend [data-series="zero"]')
    ActionChains(page).move_to_element(entry).perform()
    _settle(page)
    opacities = """
    const found = {};
    const visit = (item) => {
      if (item.mark?.marktype === 'line' && item.datum?.series_name && !item.datum.is_behind)
        found[item.datum.series_name] = item.strokeOpacity;
      (item.items ?? []).forEach(visit);
    };
    const [{ view }] = views.values();
    visit(view.scenegraph().root);
    return found;
    """
    faded = page.execute_script(opacities)
    assert faded.pop("zero") == 1
    assert faded
    assert max(faded.values()) < 0.2


def test_axes_fit_what_is_left_after_hiding(page: Any) -> None:
    _, (_, before) = page.execute_script(DOMAINS, "curves_loss")
    page.find_element("css selector", '.legend [data-series="zero"]').click()
    _settle(page)
    _, (_, after) = page.execute_script(DOMAINS, "curves_loss")
    drawn = page.execute_script(
        """
        const { view } = views.get(charts[0]);
        const found = [];
        const visit = (item) => {
          if (item.mark?.marktype === 'line' && item.datum?.value !== undefined)
            found.push(item.datum.value);
          (item.items ?? []).forEach(visit);
        };
        visit(view.scenegraph().root);
        return Math.max(...found);
        """
    )
    assert drawn <= after <= max(before, 1.3 * drawn)


BACKGROUND = "return getComputedStyle(document.querySelector('main section#comparison'))"


@pytest.mark.parametrize("system", ["light", "dark"])
def test_it_is_dark_for_those_who_want_it(page: Any, system: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": system}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        for is_dark in (system == "dark", system != "dark"):  # as it opens, and switched
            page.execute_async_script("const done = arguments[0]; drawing.then(() => done())")
            ground = page.execute_script(f"{BACKGROUND}.backgroundColor")
            assert (ground == "rgb(22, 27, 34)") == is_dark
            figure = page.execute_script("return views.get(charts[0]).view.background()")
            assert (figure == "#161b22") == is_dark
            button = page.find_element("css selector", "#theme")
            assert (button.get_attribute("aria-pressed") == "true") == is_dark
            button.click()
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
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


PRINTED = """
const width = document.documentElement.clientWidth;
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = (selector) => all(selector).filter((e) => e.checkVisibility());
const box = (element) => element.getBoundingClientRect();
return {
  controls: shown('nav, select, .tools, .legend, #theme, .on-screen, .chart').length,
  cut: shown('table, pre, figure > svg, p, h2').filter((e) => box(e).right > width + 1)
    .map((e) => e.outerHTML.slice(0, 200)),
  scrolled: shown('.scroll, pre').filter((e) => e.scrollHeight > e.clientHeight + 2).length,
  folded: all('details table, .choice table')
    .filter((e) => !e.checkVisibility({ contentVisibilityAuto: true }) || !box(e).height).length,
  figures: shown('figure').map((e) => box(e).height),
  texts: shown('figure > svg text')
    .filter((e) => box(e).width && e.getAttribute('opacity') !== '0')
    .filter((e) => box(e).left < -MARGIN || box(e).right > width + MARGIN)
    .map((e) => e.textContent),
  ground: getComputedStyle(document.querySelector('#comparison')).backgroundColor,
};
"""
MARGIN_MM, PIXELS_PER_MM = 14, 96 / 25.4
SHEETS = {"A4": (210, 297), "letter": (215.9, 279.4)}


@pytest.mark.parametrize("folder", ["written", "tuned"])
@pytest.mark.parametrize("sheet", SHEETS)
def test_nothing_is_cut_on_paper(
    browser: Any, request: pytest.FixtureRequest, sheet: str, folder: str
) -> None:
    _open(browser, request.getfixturevalue(folder), 1400)
    width, height = ((side - 2 * MARGIN_MM) * PIXELS_PER_MM for side in SHEETS[sheet])
    size = {"width": int(width), "height": int(height), "deviceScaleFactor": 1, "mobile": False}
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [dark]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        margin = str(MARGIN_MM * PIXELS_PER_MM - 10)  # a printer has none of its own beyond that
        printed = browser.execute_script(PRINTED.replace("MARGIN", margin))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert printed["controls"] == printed["folded"] == printed["scrolled"] == 0
    assert printed["cut"] == printed["texts"] == []
    assert len(printed["figures"]) >= 5
    assert max(printed["figures"]) < height  # else one would be split
    assert printed["ground"] == "rgb(255, 255, 255)"


def test_it_is_printed_without_its_scripts(written: Path, tmp_path: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    still, pdf = tmp_path / "still.html", tmp_path / "still.pdf"
    still.write_text(re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), "utf-8")
    flags = (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={pdf}")
    command = [shutil.which("chromium") or "chromium", *flags, still.as_uri()]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/MediaBox") > 5  # so many sheets
    assert len(content) > 100_000  # with its figures


def test_figures_say_what_is_seen_and_can_be_saved(page: Any) -> None:
    figures = page.find_elements("css selector", "figure")
    assert figures
    for figure in figures:
        chart = figure.find_element("css selector", ".chart")
        assert chart.get_attribute("role") == "img"
        assert chart.get_attribute("aria-label") == chart.get_attribute("data-alt")
        tools = {
            b.get_attribute("data-tool") for b in figure.find_elements("css selector", "button")
        }
        assert {"svg", "png"} <= tools


def test_every_control_is_reached_by_the_keyboard_and_has_a_name(page: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    asked = page.execute_script(
        "document.querySelectorAll('details').forEach(part => (part.open = true));"
        "const all = [...document.querySelectorAll('a[href], button, select, summary, .scroll')]"
        ".filter(element => element.checkVisibility());"
        "all.forEach((element, place) => (element.dataset.place = place));"
        "document.activeElement.blur();"
        "return all.length"
    )
    reached = {}
    for _ in range(asked + 5):
        ActionChains(page).send_keys(Keys.TAB).perform()
        place, style = page.execute_script(
            "const at = document.activeElement;"
            "return [at.dataset.place, getComputedStyle(at).outlineStyle]"
        )
        if place is not None:
            reached[int(place)] = style
    assert set(reached) == set(range(asked))
    assert set(reached.values()) == {"solid"}
    nameless = page.execute_script(
        "return [...document.querySelectorAll('[data-place]')].filter(element =>"
        " !(element.ariaLabel || element.textContent.trim() || element.labels?.length))"
        ".map(element => element.outerHTML.slice(0, 100))"
    )
    assert nameless == []


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
