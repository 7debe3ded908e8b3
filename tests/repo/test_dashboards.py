"""The files in dashboards/ are what obs.dashboards writes."""

from pathlib import Path

import pytest

from obs.dashboards import BACKENDS, files

FOLDER = Path(__file__).parents[2] / "dashboards"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_files_are_up_to_date(backend):
    folder = FOLDER / backend
    found = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == files(backend=backend), (
        f"run: obs dashboards export --for {backend} --out dashboards/{backend}"
    )


def test_there_is_a_folder_for_each_backend_and_no_other():
    assert {path.name for path in FOLDER.iterdir()} == {*BACKENDS}
