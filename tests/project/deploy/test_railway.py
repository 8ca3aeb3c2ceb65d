"""Railway knows what its file says."""

from __future__ import annotations

import re

from .hosts import PROJECT
from .hosts import railway
from .hosts import read


def test_railway_uses_the_names_of_its_package() -> None:
    """Of npm's "railway" 3.11.0, with which the file was compiled."""
    text = read("railway.ts")

    [imported] = re.findall(
        r"import \{(.*?)\} from \"railway/iac\"", text, re.DOTALL
    )
    keys = set(re.findall(r"^ {4,6}([a-z]\w+): ", text, re.MULTILINE))

    assert imported.replace("\n", "").replace(" ", "").split(",")[:-1] == [
        "defineRailway", "postgres", "preserve", "project", "service",
    ]  # fmt: skip
    assert keys == {
        "build", "start", "preDeploy", "healthcheck", "healthcheckTimeout",
        "deploy", "replicas", "env", "drainingSeconds", "overlapSeconds",
        "restartPolicyType",
    }  # fmt: skip
    assert text.count("{") == text.count("}")
    assert railway().given.keys() == {
        "PORT", "DJANGO_SETTINGS_MODULE", "DJANGO_TRUSTED_PROXIES",
    }  # fmt: skip


def test_railway_builds_the_dockerfile_there_is() -> None:
    named = re.search(r'dockerfilePath: "(.+?)"', read("railway.ts"))

    assert named is not None
    assert (PROJECT / named[1]).is_file()
