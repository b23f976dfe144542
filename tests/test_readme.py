"""The README and the pages under docs: the examples run, the links lead somewhere."""

import contextlib
import doctest
import io
import re
from pathlib import Path

import pytest
from conftest import run_python

import autolens_patch

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

#: Written by programs, from what they measured; they have no examples.
GENERATED = {"coverage.md", "profiles.md", "scaling.md"}

ALL_PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [page for page in ALL_PAGES[1:] if page.name not in GENERATED]

#: A fenced block: its language and its text.
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: What a ``print`` on a line of its own is said to print.
COMMENT = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)

#: What the libraries log, which they print too.
LOG = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ - .*\n", re.MULTILINE)


def examples_of(page: Path):
    """
    The examples of a page, in order: language, code, and what it is said to print.

    An example in Python says so in comments behind its ``print``, then in a block
    without a language which follows it, with ``...`` for what is not always the same.
    """
    text = page.read_text()
    blocks = [*BLOCK.finditer(text)]
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        language, code = block.groups()
        if language not in ("python", "pycon"):
            continue
        output = "".join(f"{comment}\n" for comment in COMMENT.findall(code))
        if following is not None and not following[1]:
            between = text[block.end() : following.start()]
            output += following[2] if not between.strip() else ""
        yield language, code, output


def assert_prints(printed: str, expected: str):
    """Assert that a text is the expected one, where ``...`` is any part of a line."""
    printed, expected = LOG.sub("", printed).splitlines(), expected.splitlines()
    for line, pattern in zip(printed, expected, strict=False):
        matches = re.fullmatch(re.escape(pattern).replace(r"\.\.\.", ".*"), line)
        assert matches, f"{line!r} is printed, and not {pattern!r}"
    assert len(printed) == len(expected), printed


def test_examples_of_the_readme_print_what_it_says():
    _, codes, outputs = zip(*examples_of(README), strict=True)
    process = run_python("\n".join(codes), PYTHONWARNINGS="ignore")
    assert process.returncode == 0, process.stderr
    assert_prints(process.stdout, "".join(outputs))
    assert outputs[0].count("\n") >= 2


@pytest.fixture
def one_by_one_afterwards():
    """An example may have switched to evaluating profiles together."""
    yield
    autolens_patch.evaluate_together(False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_by_one_afterwards")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_of_a_page_print_what_it_says(page):
    variables = {"__name__": page.stem}
    for language, code, output in examples_of(page):
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, page.name, "exec"), variables)
            assert_prints(printed.getvalue(), output)
        else:
            failures = io.StringIO()
            example = doctest.DocTestParser().get_doctest(
                code, variables, page.name, page.name, 0
            )
            runner = doctest.DocTestRunner(
                optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            )
            runner.run(example, out=failures.write)
            assert not failures.getvalue(), failures.getvalue()


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_page_begins_with_an_example_that_runs(page):
    language, code = BLOCK.search(page.read_text()).groups()
    assert language == "python"
    assert "print(" in code


def test_readme_is_read_in_three_minutes():
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    assert text.count("![") <= 2


def links_of(page: Path) -> list[str]:
    """Where the links and pictures of a page lead: files, and anchors in them."""
    text = BLOCK.sub("", page.read_text())
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in links if not link.startswith(("http:", "https:"))]


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_lead_somewhere(page):
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


def test_readme_leads_to_every_page():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links_of(README)}
    assert set(ALL_PAGES[1:]) <= linked


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    folders = "autofit_patch|autogalaxy_patch|autolens_patch|jax_profiling"
    pattern = rf"\b(?:{folders}|benchmarks|docs|tests)/[\w/]*(?:\.(?:py|md|png)\b|/)"
    for name in re.findall(pattern, page.read_text()):
        assert (ROOT / name).exists(), name
