"""Tests `make release`, in its own repository, and what keeps the tools up to date."""

import json
import platform
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def repository(tmp_path):
    """Returns a repository with the tracked files as they are now, in one commit."""
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        if (ROOT / name).is_file():
            copy = tmp_path / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    for command in (["init", "-q"], ["config", "user.name", "A Tester"], ["config", "user.email", "tester@example.com"],
                    ["add", "-A", "-f"], ["commit", "-qm", "Begin"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_release(repository):
    (repository / ".build").mkdir()
    before = (repository / "CHANGELOG.md").read_text()
    code, output = run(repository, "make", "release", "VERSION=v1.2.3")
    assert code == 0, output
    assert run(repository, "git", "describe", "--tags", "--always", "--dirty") == (0, "v1.2.3\n")
    assert run(repository, "git", "diff", "--stat", "HEAD~")[1].count("|") == 1, "the changelog alone is changed"
    after = (repository / "CHANGELOG.md").read_text()
    assert re.sub(r"\n## 1\.2\.3 - \d{4}-\d\d-\d\d\n", "", after, count=1) == before
    assert after.index("## Unreleased") < after.index("## 1.2.3")
    for architecture in ("arm64", "amd64"):
        executable = repository / ".build" / "release" / architecture / "bootstrap"
        assert b"v1.2.3" in executable.read_bytes()
        if architecture == {"aarch64": "arm64", "x86_64": "amd64"}.get(platform.machine()) and platform.system() == "Linux":
            line = json.loads(subprocess.run([executable], capture_output=True, env={}).stdout)
            assert line["version"] == "v1.2.3", "every line comes from the logger that wrote this one"
    # A build of the tag is reproducible, whatever `sam deploy` saves in samconfig.toml.
    (repository / "samconfig.toml").open("a").write("# kept by sam deploy --guided")
    sums = (repository / ".build" / "release" / "SHA256SUMS").read_text()
    assert run(repository, "make", "build-CreateKeyFunction", "GOARCH=arm64", "ARTIFACTS_DIR=again/arm64")[0] == 0
    assert run(repository / "again", "sha256sum", "arm64/bootstrap")[1] in sums
    # Nothing is unreleased now.
    (repository / "again" / "arm64" / "bootstrap").unlink()
    run(repository, "git", "checkout", "-q", "samconfig.toml")
    code, output = run(repository, "make", "release", "VERSION=v1.2.4")
    assert code != 0 and "CHANGELOG.md says nothing under Unreleased" in output


@pytest.mark.parametrize("version, change, complaint", [
    ("1.2.3", None, "VERSION must be like v1.2.3"),
    ("v1.2", None, "VERSION must be like v1.2.3"),
    ("v1.2.3", "tag", "v1.2.3 exists already"),
    ("v1.2.3", "file", "The tree must be clean"),
])
def test_release_is_refused(repository, version, change, complaint):
    if change == "tag":
        subprocess.run(["git", "tag", version], cwd=repository, check=True)
    if change == "file":
        (repository / "README.md").write_text("something else")
    head = run(repository, "git", "rev-parse", "HEAD")
    code, output = run(repository, "make", "release", f"VERSION={version}")
    assert code != 0 and complaint in output
    assert run(repository, "git", "rev-parse", "HEAD") == head and run(repository, "git", "tag")[1] == (f"{version}\n" if change == "tag" else "")


def test_renovate_finds_every_tool_of_the_makefile():
    [manager] = json.loads((ROOT / "renovate.json").read_text())["customManagers"]
    makefile = (ROOT / "Makefile").read_text()
    found = re.findall(manager["matchStrings"][0].replace("(?<", "(?P<"), makefile)
    pinned = re.findall(r"^[A-Z0-9_]+ := (?:\$\(BUILD\)/[a-z0-9]+-|v)(\d[0-9.]+)$", makefile, re.M)
    assert [version.removeprefix("v") for _, _, version in found] == pinned != []
