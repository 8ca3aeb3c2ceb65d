"""The units, their wrapper and the web server in front agree."""

from __future__ import annotations

import os

from .hosts import PROJECT
from .hosts import SYSTEMD
from .hosts import unit


def test_the_units_belong_together() -> None:
    site, release = unit("shop.service"), unit("shop-release.service")
    door = unit("shop.socket")["Socket"]["ListenStream"][0]
    same = [
        {
            key: value
            for key, value in one["Service"].items()
            if key[:4] not in {"Type", "Noti", "Exec", "Kill", "Time", "Rest"}
            or key.startswith("Restrict")
        }
        for one in (site, release)
    ]

    assert same[0] == same[1]
    assert site["Unit"]["Requires"] == ["shop.socket"]
    assert f"unix/{door}" in (SYSTEMD / "Caddyfile").read_text("utf-8")
    page = (PROJECT / "docs/deployment/systemd.md").read_text("utf-8")
    assert f"http://unix:{door};" in page


def test_the_wrapper_runs_manage_py_as_the_service_does() -> None:
    wrapper = (SYSTEMD / "shop-manage").read_text("utf-8")
    service = unit("shop.service")["Service"]

    assert os.access(SYSTEMD / "shop-manage", os.X_OK)
    for line in service["Environment"]:
        assert f"  {line} \\\n" in wrapper
    assert f"sudo --user={service['User'][0]} " in wrapper
    assert f"cd {service['WorkingDirectory'][0]} " in wrapper
