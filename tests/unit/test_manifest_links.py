"""Links and pipes among manifests: a checkout is as trustworthy as whoever proposed it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioner.errors import InvalidManifest
from provisioner.manifest import load
from tests.unit.test_manifest import several


def test_a_link_shows_nothing_of_a_file_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull request may bring links; what they lead to would be quoted in its comment."""
    secret, checkout = tmp_path / "secret.yaml", tmp_path / "checkout"
    secret.write_text("token: hush")
    (checkout / "m").mkdir(parents=True)
    (checkout / "m" / "a.yaml").symlink_to(secret)
    (checkout / "file.yaml").symlink_to("../secret.yaml")
    (checkout / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(checkout)
    for given in ("m", "./file.yaml", "folder", "m/a.yaml", str(checkout / "m")):
        with pytest.raises(InvalidManifest) as caught:
            load([given])
        assert {problem.code.id for problem in caught.value.problems} <= {
            "manifest.link",
            "manifest.empty",
        }
        assert "hush" not in str(caught.value.problems)
    monkeypatch.chdir("/")
    with pytest.raises(InvalidManifest, match="is a link"):
        load([str(checkout / "m")])


def test_a_link_within_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a mounted ConfigMap, and in a checkout that shares a file between folders."""
    mounted = tmp_path / "mounted"
    (mounted / "..2030").mkdir(parents=True)
    (mounted / "..2030" / "a.yaml").write_text(several(1))
    (mounted / "..data").symlink_to("..2030")
    (mounted / "a.yaml").symlink_to("..data/a.yaml")
    assert len(load([str(mounted)]).deployments) == 1
    (tmp_path / "alias").symlink_to(mounted)
    assert len(load([str(tmp_path / "alias")]).deployments) == 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.yaml").symlink_to("../mounted/a.yaml")
    for given in ("other", "alias", "other/b.yaml"):
        assert len(load([given]).deployments) == 1


def test_a_pipe_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(several(1))
    os.mkfifo(tmp_path / "pipe.yaml")
    assert len(load([str(tmp_path)]).deployments) == 1
