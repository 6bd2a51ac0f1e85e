"""Checks that what the documents name exists: links, headings, make targets, parameters, variables, log members."""

import re

import pytest

from cfn import ROOT, Stack, source

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
PROSE = re.compile(r"^```.*?^```$", re.M | re.S)


def anchors(document):
    """Returns the anchors that a forge makes from a document's headings."""
    headings = re.findall(r"^#+ (.*)$", PROSE.sub("", document.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_lead_somewhere(document):
    text = PROSE.sub("", document.read_text())
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or anchor and anchor not in anchors(file):
            dead.append(target)
    named = set(re.findall(r"^\[([^]]+)\]: ", text, re.M))
    dead += {name for name in re.findall(r"\]\[([^]]+)\]", text)} ^ named
    assert not dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_make_targets_exist(document):
    targets = set(re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.M))
    named = re.findall(r"(?:`|^)make ((?:[a-z][a-z-]* ?)+)", document.read_text(), re.M)
    assert {target for line in named for target in line.split()} <= targets


def test_every_target_is_documented():
    targets = set(re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.M))
    told = "".join(document.read_text() for document in DOCUMENTS)
    assert {t for t in targets - {"help", "clean"} if f"make {t}" not in told} == set()


def rows(heading):
    """Returns the first column's code and the second column of the reference's table under a heading."""
    section = REFERENCE.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([A-Za-z_]+)` \| (.*?) \|", section, re.M))


def test_the_reference_has_every_parameter_and_its_default():
    told = rows("Parameters")
    parameters = source()["Parameters"]
    assert set(told) == set(parameters)
    for name, parameter in parameters.items():
        if parameter["Default"] != "":
            assert told[name] == f"`{parameter['Default']}`", name


def test_the_reference_has_every_variable():
    told = set(rows("Variables"))
    read = set(re.findall(r'"([A-Z]+_[A-Z_]+)"', (ROOT / "internal" / "function" / "settings.go").read_text()))
    function = Stack().of_type("AWS::Lambda::Function")["CreateKeyFunction"]
    assert told == set(function["Environment"]["Variables"]) - {"AWS_ENDPOINT_URL"}
    assert told == read - {"AWS_SAM_LOCAL"}  # which SAM sets


def test_the_price_counts_the_alarms_and_metrics():
    """The prices are AWS's own of November 2026: aws.amazon.com/cloudwatch/pricing, aws.amazon.com/sqs/pricing."""
    section = REFERENCE.split("for what stands idle: ")[1].split("list prices")[0]
    everything = Stack(MarketplaceEvents="true")
    counts = [len(stack.of_type("AWS::CloudWatch::Alarm")) for stack in (Stack(), everything)]
    metrics = len(everything.of_type("AWS::Logs::MetricFilter"))
    assert section.startswith(f"{counts[0]} alarms at 0.10 ({counts[1]} with `MarketplaceEvents`), the dashboard at 3.00 and at most {metrics} metrics at 0.30")
    (most,) = re.findall(r"At most ([0-9]+) USD a month", REFERENCE)
    assert f"at most {most} USD a month" in README
    assert counts[1] * 0.10 + 3.00 + metrics * 0.30 + 0.65 * 0.40 <= float(most)


def test_the_readme_has_every_member_of_a_log_line():
    report = (ROOT / "internal" / "function" / "log.go").read_text()
    members = set(re.findall(r'(?:slog\.\w+|With)\("(\w+)"', report)) - {"calls"}  # DEBUG's, which LogLevel tells
    told = REFERENCE.split("### Outcomes")[1].split("\n### ")[0]
    assert members | {"level"} == {m for m in re.findall(r"`(\w+)`", told)} - {
        "created", "existing", "ended", "rotated", "rejected", "retried", "quota", "unfinished"}
