"""CloudWatch Logs' JSON filter patterns, as far as the template uses them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
No local emulator evaluates them: MiniStack has no TestMetricFilter.
"""

import json
import re

_TERM = re.compile(r'\$\.(?P<path>[A-Za-z.]+) (?P<operator>=|!=|>) (?:"(?P<text>[^"*]*|\*)"|(?P<number>[0-9.]+))')


def matches(pattern, line):
    """Reports whether the pattern matches a log line."""
    braces = re.fullmatch(r"\{ (.*) \}", pattern)
    assert braces, f"not a JSON pattern: {pattern}"
    try:
        document = json.loads(line)
    except ValueError:
        return False  # a JSON pattern matches JSON only
    return all(_holds(term, document) for term in braces[1].split(" && "))


def select(selector, line):
    """Returns the value of a selector such as $.record.metrics in a line."""
    value = json.loads(line)
    for member in selector.removeprefix("$.").split("."):
        value = value.get(member) if isinstance(value, dict) else None
    return value


def _holds(term, document):
    match = _TERM.fullmatch(term)
    assert match, f"unsupported term: {term}"
    value = select("$." + match["path"], json.dumps(document))
    if match["text"] == "*":
        assert match["operator"] == "=", f"unsupported term: {term}"
        return value is not None  # as the CDK writes FilterPattern.exists
    if match["text"] is not None:
        return {"=": value == match["text"], "!=": value not in (None, match["text"])}[match["operator"]]
    if not isinstance(value, (int, float)):
        return False
    return value > float(match["number"]) if match["operator"] == ">" else value == float(match["number"])
