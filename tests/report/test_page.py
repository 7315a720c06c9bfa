"""The report of a run: complete, safe, small, the same each time, and honest about what it does not know."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from gflow.errors import ReportError
from gflow.report.page import found_beside, write_descent_page, write_figures, write_page
from gflow.report.page.figures import (
    DESCENT,
    DESCENT_ALONE,
    FLOW,
    Absent,
    Drawing,
    FigureData,
    Format,
    inline_svg,
    loss_and_margins,
    patterns,
    save,
    style,
)
from gflow.scenario import parse_scenario
from gflow.trajectory import FILE_NAME, Trajectory, TrajectoryWriter, open_trajectory
from tests.report.found import Json, analysis_of, claim, comparison_of, identity
from tests.trajectory.synthetic import CASES, HEADER, SERIES_NAMES, Case, events_up_to, row

ROOT = Path(__file__).resolve().parents[2]
SMALL = """
gflow: 1
name: small
seed: 1
data: {kind: gaussian, n: 6, d: 14}
model: {kind: two_layer, width: 10, activation: {kind: leaky_relu, slope: 0.1}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {log_time: 60.0}}
record: {times: {spacing: loglog, count: 40}}
"""
FORMS = {
    "late": (),
    "early": ("flow.until={time: 3.0}", "record.times={spacing: linear, count: 9}"),
    "relu, no events": ("model.activation={kind: relu}", "flow.until={log_time: 5.0}", "record.events=false"),
    "trained": ("model.outer={train: true}", "flow.until={time: 20.0}"),
    "smooth": ("model.activation={kind: smooth_leaky_relu, slope: 0.1}", "flow.until={time: 20.0}"),
    "scalar": (
        "data={kind: parity, n: 4, d: 2, seed: 3}",
        "model={kind: scalar, width: 12, activation: {kind: relu}}",
        "init={kind: balanced}",
        "loss=exponential",
        "flow.until={time: 50.0}",
    ),
}
FLOW_FIGURES = {
    "loss",
    "margins",
    "margin-spread",
    "support",
    "direction",
    "stable-rank",
    "spectrum",
    "pairs",
    "switches",
    "pattern",
    "neurons-plane",
    "neurons-sorted",
    "neurons-turning",
}
ALONE_FIGURES = {"descent-loss", "descent-margin", "descent-rank"}
DESCENT_FIGURES = {"gap-time", "gap-eta", "agreement", "rank-descent", "edge"}
VOID = {"meta", "link", "input", "wbr", "img", "br", "image", "path", "use", "rect"}


def simulated(folder: Path, *overrides: str) -> Trajectory:
    return gflow.simulate(parse_scenario(SMALL, overrides=overrides), out=folder)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    """A run to log t = 60, with events and sliding."""
    return simulated(tmp_path_factory.mktemp("late"))


def page_of(trajectory: Trajectory, analysis: Json | None = None, comparison: Json | None = None) -> str:
    target = trajectory.path.parent / "page.html"
    return write_page(trajectory, analysis, comparison, target).read_text(encoding="utf-8")


def descent_page_of(trajectory: Trajectory) -> str:
    """That of descent which has not ended."""
    return write_descent_page(trajectory, None, trajectory.path.parent / "page.html").read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Tags, ids, references, headings and the text outside of style and code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.levels: list[int] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.targets += [value for name, value in attrs if name in ("href", "src", "aria-labelledby") and value]
        self.targets += re.findall(r"url\((#[^)]+)\)", " ".join(value or "" for value in given.values()))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "code", "pre"} & set(self._open):
            self.text.append(data)


def drawn(page: str) -> set[str]:
    return set(re.findall(r'<figure id="fig-([^"]+)"', page))


@pytest.fixture(scope="module")
def full(late: Trajectory) -> str:
    """The page of that run, analysed and compared."""
    return page_of(late, analysis_of(late), comparison_of(late))


@pytest.mark.sample("early")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_a_whole_page(tmp_path: Path, form: str) -> None:
    run = simulated(tmp_path, *FORMS[form])
    assert_whole(page_of(run), compared=False)
    assert_whole(page_of(run, analysis_of(run), comparison_of(run)), compared=True)


def assert_whole(page: str, compared: bool, alone: bool = False) -> None:
    """Numbers are numbers, ids unique, links met, headings in order, no script, every figure shown or explained."""
    outline = Outline(page)
    text = " ".join(outline.text)
    assert not re.search(r"\b(nan|NaN|None|inf|-inf|Infinity|undefined)\b", text)
    assert len(outline.ids) == len(set(outline.ids))
    assert {target.removeprefix("#") for target in outline.targets if not target.startswith("data:")} <= set(
        outline.ids
    )
    assert outline.levels[:2] == [1, 2] and all(
        b <= a + 1 for a, b in zip(outline.levels, outline.levels[1:], strict=False)
    )
    assert "script" not in outline.tags
    # Every figure is in the page, or its title says with a reason why not.
    absent = page.count("<li>") - page.count('<li><a href="#') - page.count('<li><span class="verdict')
    made, figures = (DESCENT_ALONE, ALONE_FIGURES) if alone else (FLOW, FLOW_FIGURES)
    assert len(drawn(page)) + absent == len(made) + compared * len(DESCENT)
    assert drawn(page) <= figures | (DESCENT_FIGURES if compared else set())


def test_all_figures_of_a_late_run(full: str) -> None:
    assert drawn(full) == FLOW_FIGURES | DESCENT_FIGURES
    assert "Not drawn" not in full
    numbers = [int(number) for number in re.findall(r"<span>Figure (\d+)\.</span>", full)]
    assert numbers == list(range(1, len(FLOW) + len(DESCENT) + 1))


def test_what_was_not_found_is_said(late: Trajectory) -> None:
    alone = page_of(late)
    assert alone.count("not analysed</span>") == 5 and "run <code>gflow analyze</code>" in alone
    assert "not compared</span>" in alone and "Descent beside" not in alone and 'id="claims"' not in alone
    part = page_of(late, {"kkt": {"verdict": "violated", "summary": "stationarity 0.4"}})
    assert part.count("not analysed</span>") == 4 and "Stationarity 0.4." in part


def test_answers_come_first_and_carry_their_verdicts(full: str) -> None:
    first_table = full[full.index("<table") : full.index("</table>")]
    rows = re.findall(r'<th scope="row"[^>]*>.*?class="verdict (\w+)">.*?</span> ([^<]+)</span>', first_table)
    assert rows == [
        ("plain", "not verified"),
        ("open", "pending"),
        ("open", "expected"),
        ("good", "holds"),
        ("plain", "higher rank"),
        ("bad", "violated"),
        ("bad", "1 of 4 diverges"),
    ]
    assert full.index("<table") < full.index("<svg")


def first_answer(page: str) -> tuple[str, str, str]:
    """Question, badge (mark and verdict) and sentence of the row that opens the answers."""
    start = page.index('<tbody role="rowgroup">')
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page[start : page.index("</tr>", start)], flags=re.DOTALL)
    question, badge, sentence = (" ".join(re.sub("<[^>]*>", "", cell).split()) for cell in cells)
    return question, badge, sentence


@pytest.mark.sample("failed0*", "failed2*")
@pytest.mark.parametrize(
    ("failed", "badge", "said"),
    [
        ((), "✓ pass", "2 checks pass."),
        (("margins",), "✗ 1 check fails", "rows: margins (of 2 checks)"),
        (("margins", "loss"), "✗ 2 checks fail", "rows: margins, rows: loss (of 2 checks)"),
    ],
)
def test_whether_it_can_be_trusted_is_the_first_answer(
    late: Trajectory, tmp_path: Path, failed: tuple[str, ...], badge: str, said: str
) -> None:
    checks = [
        {"group": "rows", "name": name, "verdict": "fail" if name in failed else "pass"}
        | {"value": 1.0, "bound": 0.0, "sentence": "made up"}
        for name in ("margins", "loss")
    ]
    found = {"verdict": "fail" if failed else "pass", "summary": "2 checks pass", "checks": checks}
    page = write_page(late, analysis_of(late), None, tmp_path / "page.html", found).read_text(encoding="utf-8")
    question, shown, sentence = first_answer(page)
    assert (question, shown) == ("Can this run be trusted?", badge) and said in sentence


def test_a_run_that_was_not_verified_says_so_first(late: Trajectory) -> None:
    _, badge, sentence = first_answer(page_of(late))
    assert badge == "· not verified" and f"gflow verify {late.path.parent}" in sentence


@pytest.mark.sample("etas1*")
@pytest.mark.parametrize(("etas", "verdict"), [((0.1,), "1 step size"), ((0.1, 0.05), "2 step sizes")])
def test_step_sizes_are_counted(late: Trajectory, etas: tuple[float, ...], verdict: str) -> None:
    assert f"</span> {verdict}</span>" in page_of(late, None, comparison_of(late, etas, diverged=False))


def test_the_claims_table_has_every_claim_and_its_numbers(full: str) -> None:
    for cells in (
        ("frei.<wbr>thm3.<wbr>1.<wbr>kkt", "1e-15", "1e-06", "1e+09"),
        ("kou.<wbr>lem5.<wbr>2", "0.5", "0.25", "0.5"),
        ("kou.<wbr>sec5.<wbr>3.<wbr>LL", "–", "C = 1.5", "–"),
    ):
        found = full[full.index(f'class="id">{cells[0]}</th>') :]
        numbers = re.findall(r'<td class="number">([^<]*)</td>', found[: found.index("</tr>")])
        assert numbers == list(cells[1:])
    assert "2 hypotheses, 1 not fulfilled" in full and "small &lt;= large" in full
    assert "violated (1)" in full and "all (4)" in full


def test_nothing_of_the_run_becomes_markup(tmp_path: Path) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(2)> $\\frac{$ {{ 7*7 }}'
    provenance = {"started": evil, "command": ["gflow", evil], "versions": {evil: evil}}
    header = replace(HEADER, facts=HEADER.facts | {"name": evil, "method": evil}, scenario=evil, provenance=provenance)
    run = written(tmp_path, Case(header), 4)
    analysis, comparison = analysis_of(run), comparison_of(run)
    analysis["kkt"] = {"verdict": evil, "summary": evil}
    analysis["limit"]["verdict"] = analysis["direction"]["verdict"] = evil
    analysis["claims"] = [claim("frei.x", "holds") | {"id": evil, "statement": evil, "verdict": evil, "checked": evil}]
    comparison |= {"summary": evil, "command": evil}
    comparison["etas"][1] |= {"verdict": evil, "outcome": evil, "kind": "sgd", "seed": "<b>$x$ $"}
    page = page_of(run, analysis, comparison)
    assert {"script", "img"}.isdisjoint(Outline(page).tags)
    assert "&lt;script&gt;alert(1)" in page and "{{ 7*7 }}" in page
    assert not re.search(r"<[^>]*onerror", re.sub(r'"[^"]*"', "", page))


def written(folder: Path, case: Case, rows: int) -> Trajectory:
    """Synthetic rows of one form, not ended."""
    writer = case.create(folder / FILE_NAME)
    events = [entry for number in range(rows) for entry in events_up_to(number)]
    writer.commit([row(number, case) for number in range(rows)], events)
    return open_trajectory(folder)


@pytest.mark.sample("plain-*", "one*")
@pytest.mark.parametrize(("name", "rows"), [("plain", 5), *((name, 1) for name in CASES)])
def test_every_form_of_the_file_and_few_rows(tmp_path: Path, name: str, rows: int) -> None:
    trajectory = written(tmp_path, CASES[name], rows)
    alone = trajectory.kind == "descent"
    page = descent_page_of(trajectory) if alone else page_of(trajectory)
    assert_whole(page, compared=False, alone=alone)
    assert "none yet: the run goes on" in page
    if alone:
        assert "gradient descent" in page and "not finished" in page
    else:
        assert {"loss", "pattern", "neurons-sorted"} <= drawn(page)


def test_the_same_bytes_each_time(late: Trajectory, full: str) -> None:
    assert page_of(late, analysis_of(late), comparison_of(late)) == full


@pytest.mark.sample("svg*")
@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_of_figures_are_the_same_each_time(late: Trajectory, tmp_path: Path, form: Format, start: bytes) -> None:
    for maker in (loss_and_margins.margins, patterns.pairs_over_time):
        contents = []
        for _ in range(2):
            with style():
                drawing = maker(FigureData(late, analysis_of(late)))
                assert isinstance(drawing, Drawing)
                contents.append(save(drawing, tmp_path, form).read_bytes())
        assert contents[0] == contents[1] and contents[0].startswith(start)


def test_a_figure_can_be_put_into_the_page_and_into_a_file(late: Trajectory, tmp_path: Path) -> None:
    with style():
        drawing = loss_and_margins.loss(FigureData(late))
        before = inline_svg(drawing)
        titled = save(drawing, tmp_path, "svg").read_text(encoding="utf-8")
        assert inline_svg(drawing) == before
    assert "Does the loss fall like 1/t?" in titled and "Does the loss fall like 1/t?" not in before


def test_a_wide_run_stays_small(tmp_path: Path) -> None:
    m, n, rank, rows = 512, 100, 12, 200
    random = np.random.default_rng(0)
    header = replace(
        HEADER,
        X=random.normal(size=(n, 30)),
        y=random.choice([-1.0, 1.0], n),
        W_initial=random.normal(size=(m, 30)),
        basis=np.linalg.qr(random.normal(size=(30, rank)))[0].T,
        outer=random.choice([-0.1, 0.1], m),
    )
    writer = TrajectoryWriter.create(tmp_path / FILE_NAME, header, SERIES_NAMES, expected_rows=rows)
    inner, pattern = random.normal(size=(m, rank)), random.choice(np.array([-1, 0, 1], dtype=np.int8), (m, n))
    blank = row(1)
    for number in range(rows):
        inner = inner + random.normal(size=inner.shape)
        changed = random.random((m, n)) < 0.3 / (1 + number)
        pattern = np.where(changed, random.choice(np.array([-1, 0, 1], dtype=np.int8), (m, n)), pattern)
        this = replace(
            blank, log1p_time=1.07**number - 1.0, inner=inner, pattern=pattern, margins=random.normal(size=n)
        )
        writer.commit([replace(this, series=dict.fromkeys(SERIES_NAMES, 1.0 + number) | {"events": 0.0})], [])
    run = open_trajectory(tmp_path)
    analysis = analysis_of(run)
    analysis["claims"] *= 40
    assert len(page_of(run, analysis, comparison_of(run)).encode()) < 4e6


def maker_names() -> list[str]:
    return [maker.__name__ for maker in (*FLOW, *DESCENT)]


@pytest.mark.parametrize("maker", [*FLOW, *DESCENT], ids=maker_names())
def test_figures_have_words_and_labelled_axes(
    late: Trajectory, maker: Callable[[FigureData], Drawing | Absent]
) -> None:
    with style():
        drawing = maker(FigureData(late, analysis_of(late), comparison_of(late)))
    assert isinstance(drawing, Drawing)
    assert drawing.title.endswith("?") and drawing.caption.endswith(".") and len(drawing.alt) > 20
    (ax,) = drawing.figure.axes
    assert ax.get_xlabel() and ax.get_ylabel()


def test_drawing_leaves_no_trace_in_matplotlib(late: Trajectory) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    page_of(late)
    assert dict(matplotlib.rcParams) == before


def test_text_in_figures_is_text_in_the_colours_of_the_page(full: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", full, flags=re.DOTALL)
    assert len(figures) == len(FLOW) + len(DESCENT)
    assert all(re.search(r"<text[^>]*>log\(\(1 \+ t\) L\)</text>", figure) for figure in figures[:1])
    used = set(re.findall(r"var\((--\w+)\)", " ".join(figures)))
    style_sheet = full[full.index("<style>") : full.index("</style>")]
    light, dark = style_sheet.split("prefers-color-scheme: dark")
    assert used and all(f"{name}:" in light and f"{name}:" in dark for name in used)
    # Nothing is painted in matplotlib's own black, which nobody could see on dark ground.
    assert not re.search(r"(fill|stroke): #000000", " ".join(figures))


def contrast(first: str, second: str) -> float:
    """WCAG 2's ratio of two colours #rrggbb."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("number", [0, 1], ids=["light", "dark"])
def test_colours_contrast_with_their_ground(number: int) -> None:
    sheet = (ROOT / "gflow" / "report" / "page" / "page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", sheet.split("prefers-color-scheme: dark")[number]))
    for name in ("ink", "soft", "link"):
        assert contrast(colours[name], colours["ground"]) >= 4.5
    for name in ("good", "open", "bad"):
        assert contrast(colours[name], colours[f"{name}-ground"]) >= 4.5
    for name in ("blue", "orange", "green", "purple", "grey"):
        assert contrast(colours[name], colours["ground"]) >= 3.0


def test_the_command_uses_what_fits_and_says_what_does_not(late: Trajectory, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(late.path.read_bytes())
    run = open_trajectory(tmp_path)
    (tmp_path / "analysis.json").write_text(json.dumps(analysis_of(run)))
    stale = comparison_of(run)
    stale["trajectory"]["n_rows"] += 1
    (tmp_path / "comparison.json").write_text(json.dumps(stale))
    done = CliRunner().invoke(main, ["report", str(tmp_path), "--figures", "svg"])
    assert done.exit_code == 0, done.output
    assert "comparison.json is of another state of this run" in done.stderr and "analysis.json" not in done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Expected limit: normalised margin 0.31." in page and "not compared</span>" in page
    assert {path.stem for path in (tmp_path / "figures").glob("*.svg")} == FLOW_FIGURES
    elsewhere = CliRunner().invoke(main, ["report", str(tmp_path / FILE_NAME), "--out", str(tmp_path / "a" / "b.html")])
    assert elsewhere.exit_code == 0 and (tmp_path / "a" / "b.html").read_text(encoding="utf-8") == page


def test_a_run_that_cannot_be_written_beside_is_reported_elsewhere(late: Trajectory, tmp_path: Path) -> None:
    """It is analysed for the page alone, with a line that says so."""
    locked, page = tmp_path / "locked", tmp_path / "page.html"
    (locked / "analysis.json.part").mkdir(parents=True)
    (locked / FILE_NAME).write_bytes(late.path.read_bytes())
    done = CliRunner().invoke(main, ["report", str(locked), "--out", str(page)])
    assert done.exit_code == 0 and "not saved" in done.stderr and not (locked / "analysis.json").exists()
    assert "not analysed</span>" not in page.read_text(encoding="utf-8")


def touched(path: Path) -> None:
    """One margin is another number; everything that is said about the run stays."""
    with h5py.File(path, "r+") as file:
        file["margins"][2, 1] += 1e-3


@pytest.mark.parametrize("name", ["analysis", "comparison", "verification"])
def test_what_was_found_about_other_bytes_is_left_aside(tiny: Trajectory, name: str) -> None:
    """The same rows of the same scenario, one number changed; and a file that does not say of which bytes it is."""
    path = tiny.path.parent / ("verify.json" if name == "verification" else f"{name}.json")
    content = {"trajectory": identity(tiny)}
    path.write_text(json.dumps(content))
    assert getattr(found_beside(tiny), name) == content
    touched(tiny.path)
    aside = found_beside(open_trajectory(tiny.path))
    assert getattr(aside, name) is None and f"{path.name} is of another state of this run" in aside.notes[0]
    older = {key: value for key, value in identity(open_trajectory(tiny.path)).items() if key != "trajectory_sha256"}
    path.write_text(json.dumps({"trajectory": older}))
    assert getattr(found_beside(tiny), name) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "cannot be read"), ('{"a": NaN}', "NaN is no number of JSON"), ("[1]", "holds no JSON object")],
)
def test_a_broken_file_beside_the_run_is_refused(tiny: Trajectory, content: str, said: str) -> None:
    beside = tiny.path.parent / "analysis.json"
    beside.write_text(content)
    with pytest.raises(ReportError, match=f"analysis.json.*{said}.*run gflow analyze again"):
        found_beside(tiny)


def test_a_page_that_cannot_be_written_is_refused(tiny: Trajectory) -> None:
    with pytest.raises(ReportError, match="cannot be written.*choose another --out"):
        write_page(tiny, None, None, tiny.path / "report.html")
    with pytest.raises(ReportError, match="cannot be written"):
        write_figures(tiny, None, None, tiny.path / "figures", "svg")


def test_all_that_is_not_python_is_package_data() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    folder = ROOT / "gflow" / "report" / "page"
    there = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert there == {path for pattern in declared["gflow.report.page"] for path in folder.glob(pattern)}
