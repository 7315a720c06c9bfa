"""The page as a browser shows it: nothing asked of the network, nothing complained of, legible at every width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import gflow
from gflow.report.page import write_page
from gflow.scenario import parse_scenario
from tests.report.browser import BROWSER, DRIVER, Browser, browser
from tests.report.found import analysis_of, comparison_of
from tests.report.test_page import SMALL

pytestmark = pytest.mark.skipif(
    DRIVER is None or BROWSER is None,
    reason="no chromium and chromedriver on the PATH: apt-get install chromium chromium-driver",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full page in a file."""
    folder = tmp_path_factory.mktemp("browser")
    run = gflow.simulate(parse_scenario(SMALL), out=folder)
    return write_page(run, analysis_of(run), comparison_of(run), folder / "report.html")


@pytest.fixture(scope="module")
def shown(page: Path) -> Iterator[Browser]:
    with browser() as session:
        session.emulate(1280)
        session.open(page)
        yield session


def test_nothing_is_asked_for_and_nothing_complained_of(page: Path) -> None:
    with browser() as session:
        session.open(page)
        assert session.run("return document.readyState") == "complete"
        assert session.complaints() == []
        asked = [url for url in session.requests() if not url.startswith("data:")]
        assert asked == [page.as_uri()]


def test_the_policy_would_stop_a_script(page: Path, tmp_path: Path) -> None:
    """Negative control: a script that got in would neither run nor fetch, and the console would say so."""
    text = page.read_text(encoding="utf-8")
    tampered = tmp_path / "tampered.html"
    tampered.write_text(text.replace("</body>", "<script>document.title = 'taken'</script></body>"), encoding="utf-8")
    with browser() as session:
        session.open(tampered)
        assert session.run("return document.title") != "taken"
        assert any("Content Security Policy" in line for line in session.complaints())


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_only_tables_and_code_scroll_sideways(shown: Browser, width: int) -> None:
    shown.emulate(width)
    wide = """
        return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre, svg, .skip, thead')
            && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map(e => e.outerHTML.slice(0, 90))
    """
    assert shown.run(wide) == []
    assert shown.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("width", "least"), [(390, 8.5), (1280, 10.0)])
def test_text_in_figures_is_large_enough(shown: Browser, width: int, least: float) -> None:
    shown.emulate(width)
    sizes = shown.run("""
        const scale = svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        return [...document.querySelectorAll('figure svg text')]
            .map(text => parseFloat(getComputedStyle(text).fontSize) * scale(text.ownerSVGElement));
    """)
    assert len(sizes) > 200 and min(sizes) >= least


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
def test_every_text_contrasts_with_its_ground(shown: Browser, scheme: str, media: str) -> None:
    shown.emulate(1280, scheme, media)
    low = shown.run("""
        const rgb = c => c.match(/[\\d.]+/g).map(Number);
        const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
        const light = c => rgb(c).slice(0, 3).map(v => linear(v / 255))
            .reduce((s, v, k) => s + v * [.2126, .7152, .0722][k], 0);
        const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
            if ((rgb(c)[3] ?? 1) > 0) return c; } return 'rgb(255, 255, 255)'; };
        const paint = e => getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'];
        const ratio = e => { const [a, b] = [light(paint(e)), light(ground(e))].sort((x, y) => y - x);
            return (a + .05) / (b + .05); };
        const texts = 'p, td, th, dd, dt, li, h1, h2, h3, a, summary, figcaption, svg text, label, code, .verdict';
        return [...document.querySelectorAll(texts)]
            .filter(e => e.textContent.trim() && ratio(e) < 4.4).map(e => [e.outerHTML.slice(0, 80), ratio(e)]);
    """)
    assert low == []


def test_print_is_dark_on_light_without_the_filter(shown: Browser) -> None:
    shown.emulate(1280, "dark", "print")
    assert shown.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        shown.run("return ['nav', '.filter'].map(s => getComputedStyle(document.querySelector(s)).display)")
        == ["none"] * 2
    )


@pytest.mark.parametrize(
    ("choice", "verdicts"),
    [
        ("show-applicable", ["holds", "violated", "holds"]),
        ("show-violated", ["violated"]),
        ("show-holds", ["holds", "holds"]),
        ("show-not-applicable", ["not applicable"]),
        ("show-all", ["holds", "not applicable", "violated", "holds"]),
    ],
)
def test_claims_are_filtered_without_a_script(shown: Browser, choice: str, verdicts: list[str]) -> None:
    shown.emulate(1280)
    shown.run(f"document.getElementById('{choice}').click()")
    rows = shown.run("""
        return [...document.querySelectorAll('.claims tr.claim')].filter(e => e.offsetParent !== null)
            .map(e => e.querySelector(':scope > td > .verdict').textContent.trim().slice(2))
    """)
    assert rows == verdicts
    headings = shown.run("""
        return [...document.querySelectorAll('.claims .paper')].filter(e => e.offsetParent !== null).length
    """)
    assert headings == {"show-violated": 1, "show-not-applicable": 1}.get(choice, 2)


def test_the_keyboard_reaches_the_answers_first(shown: Browser, page: Path) -> None:
    shown.emulate(1280)
    shown.open(page)
    shown.press_tab()
    focused = "const e = document.activeElement; return [e.className, e.getBoundingClientRect().left >= 0]"
    assert shown.run(focused) == ["skip", True]
    unnamed = shown.run("""
        const other = e => document.getElementById(e.getAttribute('aria-labelledby'));
        const named = e => e.ariaLabel || e.labels?.length || other(e);
        return [...document.querySelectorAll('[tabindex], svg[role=img], input')].filter(e => !named(e))
            .map(e => e.outerHTML.slice(0, 80))
    """)
    assert unnamed == []
    assert shown.run("return [...document.querySelectorAll('th')].every(e => e.scope)")
