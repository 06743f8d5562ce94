"""docs/mission.md says which test shows which row; it is what the tests say, and no row of the main job is bare."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAIN_JOB = [*range(1, 151), *range(170, 207)]


def test_the_page_is_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "tools" / "mission_table.py", "--check"], check=False)
    assert done.returncode == 0, "docs/mission.md is old: run `make mission`"


def test_every_row_of_the_main_job_is_shown():
    bare = []
    for line in (ROOT / "docs" / "mission.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        number = cells[0].removeprefix("| ")
        if number.isdigit() and int(number) in MAIN_JOB and line.rstrip(" |").endswith("| -"):
            bare.append(number)
    assert not bare
