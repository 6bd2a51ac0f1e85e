"""The commands and the policies in docs/operations.md and docs/deploying.md."""

import json
import re
from pathlib import Path

import botocore.session

ROOT = Path(__file__).parents[3]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()


def blocks(page, language="sh"):
    """Returns the code blocks in this language by heading."""
    sections, heading, block = {}, None, None
    for line in page.splitlines(keepends=True):
        if block is not None:
            if line == "```\n":
                if opened == language:
                    sections.setdefault(heading, []).append(block)
                block = None
            else:
                block += line
        elif line.startswith("```"):
            block, opened = "", line[3:].strip()
        elif line.startswith("#"):
            heading = line.strip("# \n")
    return sections


def policy(page, heading, **placeholders):
    """Returns the policy or the statement under a heading, with its placeholders replaced."""
    (text,) = blocks(page, "json")[heading]
    for name, value in placeholders.items():
        text = text.replace(name, value)
    return json.loads(text)


def table(page, heading):
    """Returns the first table under a heading: a list of cells for each row."""
    section = re.split(r"^#+ ", page.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", section, re.M)[2:]]


# The actions of commands that call something other than the operation of their name.
CALLS = {
    "cloudformation deploy": ["cloudformation:DescribeStacks", "cloudformation:GetTemplateSummary", "cloudformation:CreateChangeSet",
                              "cloudformation:DescribeChangeSet", "cloudformation:ExecuteChangeSet", "s3:GetObject", "s3:PutObject"],
    "cloudformation wait": ["cloudformation:DescribeStacks"],
    # "you must have cloudformation:CreateChangeSet on the transform", if the template has one
    # (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html).
    "cloudformation update-stack": ["cloudformation:UpdateStack", "cloudformation:CreateChangeSet"],
    "s3 ls": ["s3:ListBucket"],
    "s3 cp": ["s3:GetObject"],
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
    "sqs start-message-move-task": ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"],
    "sts get-caller-identity": [],  # "No permissions are required to perform this operation"
}


def actions(page):
    """Returns the IAM actions that a page's commands need."""
    session = botocore.session.get_session()
    found = set()
    for service, command in re.findall(r"\baws ([a-z0-9-]+) ([a-z0-9-]+)", "".join(sum(blocks(page).values(), []))):
        if (calls := CALLS.get(f"{service} {command}")) is None:
            model = session.get_service_model(service)
            (operation,) = [name for name in model.operation_names if name.lower() == command.replace("-", "")]
            # API Gateway's management API uses the HTTP method as the action.
            calls = [f"apigateway:{model.operation_model(operation).http['method']}" if service == "apigateway" else f"{service}:{operation}"]
        found |= set(calls)
    return found
