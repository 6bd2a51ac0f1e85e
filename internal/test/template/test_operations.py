"""The runbook's commands, run as they stand in docs/operations.md: part of `make test-stack`."""

import json
import os
import re

import pytest

import logfilter
from application import STACK, customers
from stack import AWS_FUNCTION, EVENT_BUS, ROOT, wait_for

README = (ROOT / "README.md").read_text()
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()


def blocks():
    """The blocks of shell commands under each heading that has any."""
    sections, heading, block = {}, None, None
    for line in RUNBOOK.splitlines(keepends=True):
        if block is not None:
            if line == "```\n":
                sections.setdefault(heading, []).append(block)
                block = None
            else:
                block += line
        elif line == "```sh\n":
            block = ""
        elif line.startswith("#"):
            heading = line.strip("# \n")
    return sections


SETTINGS = {"Runbook", "Everyday acts"}  # variables, for the sections after them
# Sections whose commands are not run as they stand, and why.
ELSEWHERE = {
    "Throttled by other tools": "test_update_and_delete deploys with another parameter",
    "Deploy again": "test_update_and_delete does",
    "Remove the stack": "test_update_and_delete deletes the stack",
}
SECTIONS = {heading: found for heading, found in blocks().items() if heading not in SETTINGS | set(ELSEWHERE)}


class Shell:
    """What an operator types, in a folder of his own, with the runbook's variables."""

    def __init__(self, app, folder):
        self.app, self.folder = app, folder
        self.variables = {"BUS": EVENT_BUS}

    def run(self, block):
        text = f'PATH="{os.environ["AWS_CLI"]}:$PATH"\n' + AWS_FUNCTION + "".join(blocks()["Runbook"])
        text += "".join(f"{name}='{value}'\n" for name, value in self.variables.items())
        if "NAME" in self.variables:
            text += "".join(blocks()["Everyday acts"])
        return self.app.cloud.run("bash", "-euo", "pipefail", "-c", f"cd {self.folder}\n{text}{block}")


@pytest.fixture
def shell(app, tmp_path):
    return Shell(app, tmp_path)


def a_customer(shell):
    """A customer with a key."""
    customer = next(customers)
    line = shell.app.line(messageId=shell.app.send({"customerId": customer, "name": "Gold", "enabled": True}), outcome="created")
    shell.variables |= {"CUSTOMER": customer, "NAME": "Gold", "KEY_ID": line["keyId"], "MESSAGE_ID": line["messageId"],
                        "PLAN_ID": shell.app.plan}
    return line


def a_dead_letter(shell):
    message = shell.app.send({"customerId": next(customers), "name": 7})
    shell.variables["MESSAGE_ID"] = shell.app.letter(message)["MessageId"]


def waiting(app, queue):
    attributes = app.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def a_rule_dead_letter(shell):
    customer = next(customers)
    event = {"id": f"event-{customer}", "source": "com.example.signup", "detail-type": "API Key Requested", "detail": {"customerId": customer, "name": "Gold"}}
    shell.app.sqs.send_message(QueueUrl=shell.app.outputs["RuleDeadLetterQueueUrl"], MessageBody=json.dumps(event))
    shell.variables["CUSTOMER"] = customer


def a_kms_key(shell):
    a_customer(shell)
    shell.variables["KMS_KEY_ARN"] = shell.app.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]


def an_api(shell):
    shell.variables |= {"API_ID": shell.app.keys.create_rest_api(name="api")["id"], "STAGE": "prod", "EMAIL": "on-call@example.com"}


def two_plans(shell):
    a_customer(shell)
    shell.variables |= {"WRONG_PLAN": shell.app.plan, "RIGHT_PLAN": shell.app.keys.create_usage_plan(name="Right")["id"]}


# For each section what there has to be before, and what its commands print in all.
PREPARED = {
    "RetriedAlarm": (a_customer, r"outcome"),
    "DeadLetterAlarm": (a_dead_letter, r'"name": 7'),
    "RuleDeadLetterAlarm": (a_rule_dead_letter, r"API Key Requested[\s\S]*OnlyOverTls"),
    "OldestMessageAlarm": (None, r"ApproximateNumberOfMessages"),
    "ErrorsAlarm": (None, r"CREATE_COMPLETE"),
    "ThrottlesAlarm": (None, r"ConcurrentExecutions"),
    "RuleFailedAlarm": (None, r"createkey-RequestRule-[\s\S]*FromOurRules"),
    "RuleLostAlarm": (None, r"OnlyOverTls[\s\S]*OnlyOverTls"),
    "KeyQuotaAlarm": (a_customer, r"^[0-9]+$"),
    "UnfinishedAlarm": (a_customer, r"outcome\W+created"),
    "Find a customer's key and request": (a_customer, r'"format": "createkey/1"'),
    "Why was this message rejected?": (a_dead_letter, r""),
    "Correct a request": (a_dead_letter, r""),
    "Which version runs?": (a_customer, r'version[\s\S]*"[A-Za-z0-9+/]{43}="'),
    "Redrive": (a_rule_dead_letter, r"MessageId"),
    "Revoke": (a_customer, r""),
    "Issue a key anew": (a_customer, r"DeletionDate"),
    "Rotate a key, or give a second one": (a_customer, r"-"),
    "Wrong usage plan": (two_plans, r""),
    "Find what was changed by hand": (None, r"-"),
    "Change the KMS key": (a_kms_key, r"ARN"),
    "Going to production": (an_api, rf"arn:aws:sns:\S+:createkey-alarms[\s\S]*{STACK}"),
}


def test_every_command_of_the_runbook_is_run():
    assert set(SECTIONS) == set(PREPARED)
    assert set(ELSEWHERE) | SETTINGS < set(blocks())


def test_filter_patterns():
    """MiniStack takes filter patterns and ignores them: they are held against a line here."""
    line = json.dumps({"version": "v1.0.0", "messageId": "ID", "customerId": "ID", "outcome": "retried", "code": "unfinished", "level": "ERROR",
                       "type": "platform.report", "record": {"status": "timeout"}})
    patterns = re.findall(r"""^lines (?:'([^']*)'|"((?:[^"\\]|\\.)*)")""", RUNBOOK, re.MULTILINE)
    assert len(patterns) > 5
    for plain, quoted in patterns:
        pattern = plain or re.sub(r"\\(.)", r"\1", quoted).replace("$MESSAGE_ID", "ID").replace("$CUSTOMER", "ID")
        assert logfilter.matches(pattern, line), pattern


@pytest.mark.parametrize("heading", SECTIONS)
def test_commands(shell, heading):
    app, (prepare, prints) = shell.app, PREPARED[heading]
    if prepare:
        prepare(shell)
    printed = ""
    for block in SECTIONS[heading]:
        if "start-message-move-task" in block:
            continue  # MiniStack does not know it; test_redrive does by hand what it does
        printed += shell.run(block)
        after_block(shell, heading, block)
    assert re.search(prints, printed, re.MULTILINE), printed
    values = [app.keys.get_api_key(apiKey=key["id"], includeValue=True)["value"] for key in app.all_keys()]
    assert not any(value in printed for value in values), "a value is printed (not shown)"
    for queue in (app.dead_letters, app.outputs["RuleDeadLetterQueueUrl"]):
        app.sqs.purge_queue(QueueUrl=queue)


def test_the_first_key_of_the_readme(shell):
    """Its commands, for a customer of our own and on the bus that this stack listens to."""
    section = README.split("\n## Your first key\n")[1].split("\n## ")[0]
    make, send, read = re.findall(r"^```\n(.*?)^```$", section, re.M | re.S)
    api = shell.app.keys.create_rest_api(name="api")["id"]
    plan = shell.run(make.replace("API_ID", api).replace("STAGE", "prod")).strip()
    for command in send.split("\n\n"):
        customer = next(customers)
        command = command.replace("cust-1", customer).replace("QUEUE_URL", shell.app.queue).replace("PLAN_ID", plan).replace(
            '[{"Source"', f'[{{"EventBusName": "{EVENT_BUS}", "Source"')
        shell.run(command)
        shell.app.line(customerId=customer, outcome="created")
        key = shell.app.want_key(customer, "Gold", plans=[plan])
        found = key["id"] in shell.run(read.replace("cust-1", customer))
        assert found, "the record is not printed (what is printed is not shown)"


def after_block(shell, heading, block):
    """What must be so after a command that changes something."""
    app, customer, key = shell.app, shell.variables.get("CUSTOMER"), shell.variables.get("KEY_ID")
    if heading == "Redrive":
        app.line(customerId=customer, outcome="created")
    elif heading == "Revoke" and "update-api-key" in block:
        assert not app.keys.get_api_key(apiKey=key)["enabled"]
    elif heading == "Revoke":
        assert key not in [k["id"] for k in app.all_keys()]
    elif heading == "Correct a request":
        assert waiting(app, app.dead_letters) == 0
    elif heading == "Issue a key anew" and "delete-secret" in block:
        line = app.line(messageId=app.send({"customerId": customer, "name": "Gold", "enabled": True}), outcome="created")
        assert line["keyId"] != key
        app.want_key(customer, "Gold")
    elif heading == "Rotate a key, or give a second one":
        app.line(customerId=customer, secretName=f"{STACK}/{customer}/Gold+2027", outcome="created")
    elif heading == "Going to production" and "create-usage-plan" in block:
        plans = [p for page in app.keys.get_paginator("get_usage_plans").paginate() for p in page["items"]]
        assert [{"apiId": shell.variables["API_ID"], "stage": "prod"}] in [p["apiStages"] for p in plans]
        (subscription,) = [s for s in app.cloud.client("sns").list_subscriptions()["Subscriptions"] if s["Protocol"] == "email"]
        assert subscription["TopicArn"].endswith(":createkey-alarms")
        assert app.cloud.client("events").describe_event_bus(Name="createkey-outcomes")["Arn"]
    elif heading == "Going to production":
        cloudformation = app.cloud.client("cloudformation")
        assert cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["EnableTerminationProtection"]
        cloudformation.update_termination_protection(StackName=STACK, EnableTerminationProtection=False)
    elif heading == "Wrong usage plan":
        assert app.plans_of(key) == {shell.variables["RIGHT_PLAN"]}
    elif heading == "Change the KMS key":
        assert app.secrets.describe_secret(SecretId=f"{STACK}/{customer}/Gold")["KmsKeyId"] == shell.variables["KMS_KEY_ARN"]
