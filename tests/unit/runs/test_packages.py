"""Which packages a run records."""

import sys

from corrida.runs.snapshot.environment import describe_environment


def test_what_a_package_brings_along_for_itself_is_not_installed(tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    own = site / "large" / "thirdparty_files"
    for folder, name in ((site, "large-2.0"), (own, "small-0.1"), (own, "large-1.0")):
        (folder / f"{name}.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(own), str(site)])
    assert describe_environment()["packages"] == {"large": "2.0"}
