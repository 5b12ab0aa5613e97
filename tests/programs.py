"""Programs that a test needs: without one it skips and says what to install; in CI it fails."""

import os
import shutil

import pytest


def program_of(package: str, *names: str) -> str:
    """The first of these that is here. `.ci/run` installs the Debian packages, so that nothing is skipped there."""
    for name in names:
        if found := shutil.which(name):
            return found
    missing = f"no {names[0]}; on Debian: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(f"{missing}, which .ci/run does")
    pytest.skip(missing)
