"""The README's examples run, and print what it says."""

import re
from pathlib import Path

from conftest import run_python

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_examples_print_what_the_readme_says():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    process = run_python("\n".join(blocks), PYTHONWARNINGS="ignore")
    assert process.returncode == 0, process.stderr
    commented = re.findall(r"^print\(.*\)  # (\S+?)(?:\.\.\.)?$", README, re.MULTILINE)
    assert len(commented) >= 4
    for number in commented:
        assert number in process.stdout
    for line in re.findall(r"^\.galaxies\.\S+ \S+$", README, re.MULTILINE):
        assert line in process.stdout.splitlines()
