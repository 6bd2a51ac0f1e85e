"""CloudWatch Logs' JSON filter patterns, as far as the template uses them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
Nothing local evaluates them: MiniStack has no TestMetricFilter.
"""

import json
import re

_TERM = re.compile(r'\$\.(?P<path>[A-Za-z.]+) (?P<operator>=|!=|>) (?:"(?P<text>[^"*]*|\*)"|(?P<number>[0-9.]+))')


def matches(pattern, line):
    """Whether a log line is one that the pattern counts."""
    braces = re.fullmatch(r"\{ (.*) \}", pattern)
    assert braces, f"not a pattern of JSON: {pattern}"
    try:
        document = json.loads(line)
    except ValueError:
        return False  # a pattern of JSON counts JSON only
    return all(_holds(term, document) for term in braces[1].split(" && "))


def select(selector, line):
    """The value that a selector such as $.record.metrics takes from a line."""
    value = json.loads(line)
    for member in selector.removeprefix("$.").split("."):
        value = value.get(member) if isinstance(value, dict) else None
    return value


def _holds(term, document):
    match = _TERM.fullmatch(term)
    assert match, f"a form of term that is not known here: {term}"
    value = select("$." + match["path"], json.dumps(document))
    if match["text"] == "*":
        assert match["operator"] == "=", f"a form of term that is not known here: {term}"
        return value is not None  # as the CDK writes FilterPattern.exists
    if match["text"] is not None:
        return {"=": value == match["text"], "!=": value not in (None, match["text"])}[match["operator"]]
    if not isinstance(value, (int, float)):
        return False
    return value > float(match["number"]) if match["operator"] == ">" else value == float(match["number"])
