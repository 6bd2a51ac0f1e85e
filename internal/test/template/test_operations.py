"""Runs the commands of docs/operations.md and docs/deploying.md as they are: part of `make test-stack`.

Those of operations.md run as a user who has only the page's own policy.
"""

import functools
import json
import os
import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import logfilter
import pages
from application import STACK, customers
from stack import BUCKET, EVENT_BUS, OUTCOME_BUS, REGION, RESOURCE_TAGS, ROOT, SAM, wait_for

README = (ROOT / "README.md").read_text()
OPERATIONS, DEPLOYING = pages.blocks(pages.OPERATIONS), pages.blocks(pages.DEPLOYING)
PASTED = OPERATIONS["Where am I"][-1]  # variables and functions, for all sections after it

# Sections whose commands are not run as they are, and why.
ELSEWHERE = {
    "The schema registry": "MiniStack has no schema registries; test_template.py checks the template",
    "Upgrade": "test_update_and_delete deploys again",
    "Remove the stack": "test_remove_the_stack does",
    "Audit": "test_audit_and_adopt does, in the checkout",
    "Adopt keys made by hand": "test_audit_and_adopt does, in the checkout",
}
SECTIONS = {heading: found for heading, found in (OPERATIONS | DEPLOYING).items() if heading not in ELSEWHERE}

# MiniStack has no message move tasks: the CLI validates these commands against AWS's
# service model, and test_redrive_from_the_dead_letter_queue does what AWS would do.
# conftest.py has built and deployed, without what MiniStack does not support.
NOT_HERE = """
aws() {
  case "$1 $2" in
    "sqs start-message-move-task" | "sqs list-message-move-tasks") command aws "$@" --generate-cli-skeleton output ;;
    *) command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@" ;;
  esac
}
sleep() { :; }
"""


@functools.cache
def quick_waiters(folder):
    """Has `aws cloudformation wait` look every second, not every 30: MiniStack needs two for a stack."""
    [source] = Path(os.environ["AWS_CLI"]).parent.glob("lib/python*/site-packages/awscli/botocore/data/cloudformation/*/waiters-2.json")
    model = json.loads(source.read_text())
    for waiter in model["waiters"].values():
        waiter["delay"] = 1
    copy = folder / "waiters" / "cloudformation" / source.parent.name
    copy.mkdir(parents=True)
    (copy / source.name).write_text(json.dumps(model))
    return folder / "waiters"


class Shell:
    """An operator's shell in its own folder, after the page's functions and variables were pasted."""

    pasted = None  # the resulting variables and functions, cached because pasting takes seconds

    def __init__(self, app, folder, environment):
        self.app, self.folder, self.environment = app, folder, environment
        self.variables = {"BUS": EVENT_BUS}
        if not Shell.pasted:
            Shell.pasted = self.bash(PASTED + "declare -p STACK AWS_PAGER QUEUE DEAD_LETTERS RULE_DEAD_LETTERS LOG_GROUP FUNCTION PREFIX\ndeclare -f\n", OPERATIONS)
            printed, Shell.pasted = Shell.pasted.split("\n", 1)
            assert printed == f"{app.queue} {app.outputs['FunctionName']}"

    def run(self, block, page=OPERATIONS, check=True):
        return self.bash(self.pasted + "".join(f"{name}='{value}'\n" for name, value in self.variables.items()) + block, page, check)

    def bash(self, text, page, check=True):
        user = "".join(f"export {name}='{value}'\n" for name, value in (self.environment if page is OPERATIONS else {}).items())
        return self.app.cloud.run("bash", "-euo", "pipefail", "-c", f'PATH="{os.environ["AWS_CLI"]}:$PATH"\nexport AWS_DATA_PATH="{quick_waiters(self.app.cloud.folder)}"\ncd {self.folder}\n{user}{NOT_HERE}{text}', check=check)


@pytest.fixture(scope="session")
def on_call(app):
    """Returns the credentials of a user with the permissions that operations.md lists."""
    policy = pages.policy(pages.OPERATIONS, "The permissions", REGION=REGION, ACCOUNT="000000000000", STACK=STACK, BUS=OUTCOME_BUS, BUCKET=BUCKET)
    # MiniStack names log groups unlike CloudFormation, and checks DescribeEventBus without a resource.
    policy["Statement"] += [
        {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": f"arn:aws:logs:{REGION}:000000000000:log-group:{app.outputs['LogGroupName']}"},
        {"Effect": "Allow", "Action": "events:DescribeEventBus", "Resource": "*"},
    ]
    return a_user(app, "on-call", policy)


def a_user(app, name, policy):
    """Returns the credentials of a user who has this policy and nothing else."""
    arn = app.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))["Policy"]["Arn"]
    app.iam.create_user(UserName=name)
    app.iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = app.iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.fixture
def shell(app, tmp_path, on_call):
    return Shell(app, tmp_path, on_call)


def a_customer(shell):
    """Makes a customer with a key, whose id has to be encoded in the secret's name."""
    customer = f"{next(customers)}_jane@example.com"
    line = shell.app.line(messageId=shell.app.send({"customerId": customer, "name": "Gold", "enabled": True}), outcome="created")
    shell.variables |= {"CUSTOMER": customer, "NAME": "Gold", "KEY_ID": line["keyId"], "MESSAGE_ID": line["messageId"], "PLAN_ID": shell.app.plan}
    return line


def an_unhurried_customer(shell):
    """Raises the visibility timeout: MiniStack accepts a second key with the same value, so a rotation must not be redelivered while it runs."""
    a_customer(shell)
    shell.app.sqs.set_queue_attributes(QueueUrl=shell.app.queue, Attributes={"VisibilityTimeout": "30"})


VALUE = "0123456789-a-value-that-a-sender-chose"
REASON = "enabled: must be a boolean, not a string: write true or false, without quotes"


def a_dead_letter(shell):
    """Sends more letters than one call receives, one of them as the function sets messages aside."""
    customer = next(customers)
    body = json.dumps({"customerId": customer, "name": "Gold", "value": VALUE, "enabled": "true"})
    aside = {"reason": REASON, "messageId": f"message-{customer}", "customerId": customer, "secretName": f"{STACK}/{customer}/Gold"}
    for _ in range(11):  # as SQS's redrive leaves them
        shell.app.sqs.send_message(QueueUrl=shell.app.dead_letters, MessageBody=body)
    shell.app.sqs.send_message(QueueUrl=shell.app.dead_letters, MessageBody=body,
                               MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in aside.items()})
    shell.variables["MESSAGE_ID"] = aside["messageId"]


def left(app, queue):
    """Returns how many messages a queue holds, including invisible ones."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(int(number) for number in app.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"].values())


def rule_dead_letters(shell):
    """Sends events as EventBridge's dead letters; over several lines, which is allowed."""
    for _ in range(2):
        customer = next(customers)
        event = {"id": f"event-{customer}", "source": "com.example.signup", "detail-type": "API Key Requested", "detail": {"customerId": customer, "name": "Gold"}}
        shell.app.sqs.send_message(QueueUrl=shell.app.outputs["RuleDeadLetterQueueUrl"], MessageBody=json.dumps(event, indent="\t"), MessageAttributes={
            "ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"}, "ERROR_MESSAGE": {"DataType": "String", "StringValue": "Lack of permissions"}})
    shell.variables["CUSTOMER"] = customer


def a_kms_key(shell):
    a_customer(shell)
    shell.variables["KMS_KEY_ARN"] = shell.app.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]


def an_api(shell):
    shell.variables |= {"API_ID": shell.app.keys.create_rest_api(name="api")["id"], "STAGE": "prod", "EMAIL": "on-call@example.com"}


def two_plans(shell):
    a_customer(shell)
    shell.variables |= {"WRONG_PLAN": shell.app.plan, "RIGHT_PLAN": shell.app.keys.create_usage_plan(name="Right")["id"]}


def a_deleted_secret(shell):
    line = a_customer(shell)
    shell.app.secrets.delete_secret(SecretId=line["secretName"], RecoveryWindowInDays=7)


def a_customer_nobody_was_told_of(shell):
    a_customer(shell)
    shell.app.sqs.purge_queue(QueueUrl=shell.app.heard)
    shell.variables["OUTCOME_BUS"] = OUTCOME_BUS


def a_release_before(shell):
    """Uploads this stack's template with another executable and less memory, packaged as SAM does."""
    template = shell.app.cloud.run(f"{os.environ['AWS_CLI']}/aws", "cloudformation", "get-template", "--stack-name", STACK, "--template-stage", "Original",
                                   "--query", "TemplateBody", "--output", "text")
    bucket, folder, code = re.search(r"CodeUri: s3://(\S+?)/(\S+)/(\S+)", template).groups()
    s3 = shell.app.cloud.client("s3")
    s3.copy_object(Bucket=bucket, Key=f"{folder}/before", CopySource={"Bucket": bucket, "Key": f"{folder}/{code}"})
    s3.put_object(Bucket=bucket, Key=f"{folder}/now.template", Body=template.encode())
    s3.put_object(Bucket=bucket, Key=f"{folder}/before.template", Body=template.replace(f"/{code}", "/before").replace("MemorySize: 256", "MemorySize: 128").encode())
    shell.variables |= {"FOLDER": f"{bucket}/{folder}", "BEFORE": "before.template"}


# For each section its preparation, and a pattern for all that its commands print.
PREPARED = {
    "Where am I": (None, rf"000000000000\s[\s\S]*^{STACK}\s.*_COMPLETE[\s\S]*^http\S+/createkey-requests-\S+ {STACK}-CreateKeyFunction-"),
    "RetriedAlarm": (a_customer, r"outcome\W+created"),
    "DeadLetterAlarm": (a_dead_letter, rf"^12\t0[\s\S]*^message-\S+\tcust-\S+\t{STACK}/cust-\S+/Gold\t{REASON}$"),
    "RuleDeadLetterAlarm": (rule_dead_letters, r"^2\t0[\s\S]*Lack of permissions[\s\S]*FromOurRules"),
    "OldestMessageAlarm": (None, r"^0\t0$[\s\S]*Enabled"),
    "ErrorsAlarm": (None, r"CREATE_COMPLETE"),
    "ThrottlesAlarm": (None, r"^[0-9]+\t[0-9]+$[\s\S]*\b2\b"),
    "RuleFailedAlarm": (None, r"createkey-RequestRule-[\s\S]*FromOurRules"),
    "RuleLostAlarm": (None, r"OnlyOverTls[\s\S]*OnlyOverTls"),
    "KeyQuotaAlarm": (a_customer, r"^[0-9]+$"),
    "UnfinishedAlarm": (a_customer, r"outcome\W+created"),
    "AWS is down": (a_customer, r"outcome\W+created[\s\S]*^0\t0$"),
    "Pause and resume": (None, r"Disabled[\s\S]*Enabled"),
    "Redrive": (a_dead_letter, r"TaskHandle[\s\S]*FailureReason"),
    "Events from the rules' dead-letter queue": (rule_dead_letters, r"^\S{36}\n\S{36}\n$"),
    "Correct a request": (a_dead_letter, r"^discarded message-cust-"),
    "Change one parameter": (None, r"^CreateKeyRate is '1'$"),
    "Go back to the last release": (a_release_before, r" before\.template before$[\s\S]*^Deployed now: [0-9a-f]{32}$[\s\S]*Successfully created/updated stack"),
    "Find what was changed by hand": (None, r"-"),
    "A secret deleted by mistake": (a_deleted_secret, r"jane=40example\.com/Gold\s"),
    "Events that were lost": (a_customer_nobody_was_told_of, rf"event-bus/{OUTCOME_BUS}[\s\S]*^0$"),
    "Find a customer's key and request": (a_customer, r'"format": "createkey/1"'),
    "Why was this message rejected?": (a_customer, r"outcome"),
    "Which version runs?": (a_customer, r"version[\s\S]*[A-Za-z0-9+/]{43}="),
    "Revoke": (a_customer, r""),
    "Issue a key anew": (a_customer, r""),
    "Rotate a key, or end it": (an_unhurried_customer, r"-"),
    "Another usage plan": (two_plans, r""),
    "Before the first deployment": (an_api, r"arn:aws:sns:\S+:createkey-alarms"),
    "Deploy": (None, STACK),
    "Change the KMS key": (a_kms_key, r"jane=40example\.com/Gold$"),
}


def test_every_command_is_run():
    assert set(SECTIONS) == set(PREPARED)
    assert set(ELSEWHERE) < set(OPERATIONS | DEPLOYING)
    assert len(OPERATIONS | DEPLOYING) == len(OPERATIONS) + len(DEPLOYING), "a section's heading is in one page"


def test_filter_patterns():
    """MiniStack accepts filter patterns but ignores them, so they are matched against a line here."""
    line = json.dumps({"version": "v1.0.0", "messageId": "ID", "customerId": "ID", "outcome": "", "code": "unfinished", "level": "ERROR",
                       "type": "platform.report", "record": {"status": "timeout"}})
    patterns = re.findall(r"""^lines (?:'([^']*)'|"((?:[^"\\]|\\.)*)")""", pages.OPERATIONS, re.MULTILINE)
    assert len(patterns) > 5
    for plain, quoted in patterns:
        pattern = plain or re.sub(r"\\(.)", r"\1", quoted).replace("$MESSAGE_ID", "ID").replace("$CUSTOMER", "ID")
        outcome = re.search(r'outcome = "([a-z]+)"', pattern)
        assert logfilter.matches(pattern, line.replace('"outcome": ""', f'"outcome": "{outcome[1] if outcome else "created"}"')), pattern


# By the contract: characters outside A-Z a-z 0-9 . - become =XX for each byte, a
# blank becomes +, and _ stands for an absent part.
@pytest.mark.parametrize("arguments, name", [
    (["cust-1", "Dev API Key"], "cust-1/Dev+API+Key"),
    (["jane_doe@example.com", "a/b"], "jane=5Fdoe=40example.com/a=2Fb"),
    (["Jürgen", ""], "J=C3=BCrgen/_"),
    (["", "_"], "_/=5F"),
    (["", "", "9b1f9a3c-6a1d-4f0e-8f5e-000000000001"], "_/_/9b1f9a3c-6a1d-4f0e-8f5e-000000000001"),
    (["$(x)`y`\"", "+="], "=24=28x=29=60y=60=22/=2B=3D"),
])
def test_a_secrets_name(shell, arguments, name):
    quoted = " ".join(f"'{argument}'" for argument in arguments)
    assert shell.run(f"secret {quoted}").strip() == f"{STACK}/{name}"


def test_a_secrets_name_that_is_too_long_is_the_functions_own(shell):
    customer = next(customers) + "é" * 200
    line = shell.app.line(messageId=shell.app.send({"customerId": customer, "name": "Gold"}), outcome="created")
    assert shell.run(f"secret '{customer}' Gold").strip() == line["secretName"]
    assert "/_sha256/" in line["secretName"]


@pytest.mark.parametrize("heading", SECTIONS)
def test_commands(shell, heading):
    app, (prepare, prints) = shell.app, PREPARED[heading]
    if prepare:
        prepare(shell)
    printed = ""
    for block in SECTIONS[heading]:
        if block.startswith("sam "):
            continue  # conftest.py builds and deploys, and between the two removes what MiniStack does not support
        if "continue-update-rollback" in block:
            assert "cannot be called from current stack status" in shell.run(block, check=False), "no rollback of this stack has failed"
            continue
        page = OPERATIONS if heading in OPERATIONS else DEPLOYING
        printed += shell.run(block.replace("STACK=createkey-prod", f"STACK={STACK}"), page)
        after_block(shell, heading, block)
    assert re.search(prints, printed, re.MULTILINE), printed
    values = [VALUE] + [app.keys.get_api_key(apiKey=key["id"], includeValue=True)["value"] for key in app.all_keys()]
    assert not any(value in printed for value in values), "a value is printed (not shown)"
    for queue in (app.dead_letters, app.outputs["RuleDeadLetterQueueUrl"]):
        app.sqs.purge_queue(QueueUrl=queue)


def test_a_rejected_message_is_a_letter_with_its_reason(shell):
    app, customer = shell.app, next(customers)
    message = app.send({"customerId": customer, "name": "Gold", "value": VALUE, "enabled": "true"})
    wait_for(lambda: left(app, app.dead_letters), "the letter")
    assert len(app.lines(messageId=message)) == 1, "at its first receive"
    printed = shell.run('letters "$DEAD_LETTERS"')
    shown = VALUE in printed
    assert not shown, "a value is printed (not shown)"
    assert printed == f"{message}\t{customer}\t{STACK}/{customer}/Gold\t{REASON}\n"
    app.sqs.purge_queue(QueueUrl=app.dead_letters)


def test_empty_queues(shell):
    """Commands on empty queues end, and say so."""
    shell.variables["MESSAGE_ID"] = "no-such-message"
    assert shell.run('letters "$DEAD_LETTERS"') == ""
    assert "not there" in shell.run(OPERATIONS["Correct a request"][0])
    assert shell.run(OPERATIONS["Events from the rules' dead-letter queue"][0]) == ""


def test_a_parameter_that_does_not_exist_or_has_a_bad_value_changes_nothing(shell):
    change = OPERATIONS["Change one parameter"][0]
    for bad in ("change NoSuchParameter 1", "change CreateKeyRate 100"):
        assert "ValidationError" in shell.run(change.replace("change CreateKeyRate 1\n", bad + "\n"), check=False)


def test_who_is_on_call_may_do_no_more(app, on_call):
    client = {"aws_access_key_id": on_call["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": on_call["AWS_SECRET_ACCESS_KEY"]}
    app.secrets.create_secret(Name="other/secret-of-nobody", SecretString="somebody else's")
    for call, arguments in (
        (app.cloud.client("secretsmanager", **client).get_secret_value, {"SecretId": "other/secret-of-nobody"}),
        (app.cloud.client("secretsmanager", **client).put_secret_value, {"SecretId": f"{STACK}/x", "SecretString": "x"}),
        (app.cloud.client("sqs", **client).purge_queue, {"QueueUrl": app.queue}),
        (app.cloud.client("sqs", **client).receive_message, {"QueueUrl": app.heard}),
        (app.cloud.client("apigateway", **client).create_api_key, {"name": "x"}),
        (app.cloud.client("lambda", **client).invoke, {"FunctionName": app.outputs["FunctionName"]}),
    ):
        with pytest.raises(ClientError, match="AccessDenied|not authorized"):
            call(**arguments)


def test_audit_and_adopt(app, shell, tmp_path):
    """Runs each as a user who has the page's policy for it."""
    for key in app.all_keys():  # MiniStack lists these with "false" in quotes, which typed SDKs cannot read
        if key["enabled"] is not True:
            app.keys.delete_api_key(apiKey=key["id"])
    names = {"REGION": REGION, "ACCOUNT": "000000000000", "STACK": STACK}
    auditor = Shell(app, ROOT, a_user(app, "auditor", pages.policy(pages.OPERATIONS, "The permissions of an audit", **names)))
    (audit,) = OPERATIONS["Audit"]

    def findings():
        lines = [json.loads(line) for line in auditor.run(audit.replace("make audit", "make audit FORMAT=json"), check=False).splitlines() if line.startswith("{")]
        assert lines[-1]["keys"] == len(app.all_keys()) and lines[-1]["findings"] == len(lines) - 1
        return {(line["finding"], line.get("keyId"), line.get("secretName")) for line in lines[:-1]}

    before, gone = findings(), f"{STACK}/planted/Gold"
    app.secrets.create_secret(Name=gone, SecretString=json.dumps({
        "format": "createkey/1", "value": VALUE, "id": "a1b2c3d4e5", "name": "Gold", "customerId": "planted", "enabled": True, "createdDate": "2026-01-01T00:00:00Z",
        "lastUpdatedDate": "2026-01-01T00:00:00Z", "stageKeys": [], "tags": {}, "usagePlanIds": []}))
    try:
        assert findings() - before == {("key-gone", "a1b2c3d4e5", gone)}
        printed = auditor.run(audit, check=False)
        assert re.search(rf"^KEY-GONE +a1b2c3d4e5 +{gone}$", printed, re.MULTILINE), printed
    finally:
        app.secrets.delete_secret(SecretId=gone, ForceDeleteWithoutRecovery=True)

    customer = next(customers)
    by_hand = app.keys.create_api_key(name="By hand", enabled=True)["id"]
    keys = tmp_path / "keys.csv"  # MiniStack lists all plans for any key
    keys.write_text(f"id,customerId,name,usagePlanIds\n{by_hand},{customer},Gold,\n")
    policy = pages.policy(pages.OPERATIONS, "The permissions of an adoption", **names)
    adopter = Shell(app, ROOT, a_user(app, "adopter", policy) | {"RESOURCE_TAGS": RESOURCE_TAGS})
    (adopt,) = OPERATIONS["Adopt keys made by hand"]
    printed += adopter.run(adopt.replace("FILE=keys.csv", f"FILE={keys}"))
    assert re.search(r"1 to be adopted, 0 adopted before, 0 refused[\s\S]*1 adopted, 0 adopted before, 0 refused", printed), printed
    tags = app.keys.get_tags(resourceArn=f"arn:aws:apigateway:{REGION}::/apikeys/{by_hand}")["tags"]  # MiniStack shows them only here
    assert tags["createkey:secret"] == f"{STACK}/{customer}/Gold"
    line = app.line(messageId=app.send({"customerId": customer, "name": "Gold", "enabled": True}), outcome="existing")
    assert line["keyId"] == by_hand
    values = [VALUE] + [app.keys.get_api_key(apiKey=key["id"], includeValue=True)["value"] for key in app.all_keys()]
    assert not any(value in printed for value in values), "a value is printed (not shown)"


def test_remove_the_stack(cloud, app, shell):
    """Removes a stack that no other test uses."""
    cloud.deploy("leaving")
    queue = cloud.outputs("leaving")["QueueUrl"]
    cloudformation = cloud.client("cloudformation")
    cloudformation.update_termination_protection(StackName="leaving", EnableTerminationProtection=True)
    shell.variables["STACK"] = "leaving"
    sam = f'sam() {{ command {SAM} "$@" --no-prompts --region {REGION}; }}\n'
    detach, unprotect, with_sam, without_sam = DEPLOYING["Remove the stack"]
    shell.run(sam + with_sam, DEPLOYING, check=False)
    assert cloud.outputs("leaving"), "protected"
    user = app.iam.create_user(UserName="a-sender")["User"]["UserName"]
    app.iam.attach_user_policy(UserName=user, PolicyArn=cloud.outputs("leaving")["SenderPolicyArn"])
    assert user in shell.run(detach, DEPLOYING)
    app.iam.detach_user_policy(UserName=user, PolicyArn=cloud.outputs("leaving")["SenderPolicyArn"])
    shell.run(unprotect, DEPLOYING)
    shell.run(without_sam, DEPLOYING)
    with pytest.raises(ClientError, match="does not exist"):
        cloud.outputs("leaving")
    assert queue in app.sqs.list_queues()["QueueUrls"]


def test_the_first_key_of_the_readme(shell):
    """Runs its commands, with other customers and this stack's bus."""
    section = README.split("\n## Your first key\n")[1].split("\n## ")[0]
    make, send, read, life = re.findall(r"^```\n(.*?)^```$", section, re.M | re.S)
    api = shell.app.keys.create_rest_api(name="api")["id"]
    plan = shell.run(make.replace("API_ID", api).replace("STAGE", "prod"), DEPLOYING).strip()

    def run(command, customer):
        shell.run(command.replace("cust-1", customer).replace("QUEUE_URL", shell.app.queue).replace("PLAN_ID", plan).replace(
            '[{"Source"', f'[{{"EventBusName": "{EVENT_BUS}", "Source"'), DEPLOYING)

    for command in send.split("\n\n"):
        customer = next(customers)
        run(command, customer)
        shell.app.line(customerId=customer, outcome="created")
        key = shell.app.want_key(customer, "Gold", plans=[plan])
        found = key["id"] in shell.run(read.replace("cust-1", customer), DEPLOYING)
        assert found, "the record is not printed (what is printed is not shown)"
    ids = [key["id"]]
    for command, outcome in zip(life.split("\n\n"), ("rotated", "ended"), strict=True):
        run(command, customer)
        ids.append(shell.app.line(customerId=customer, outcome=outcome)["keyId"])
    enabled = [k["id"] for k in shell.app.all_keys() if k["id"] in ids and k["enabled"] is True]  # MiniStack says "false"
    assert not enabled


def after_block(shell, heading, block):
    """Checks the result of a command that changes something."""
    app, customer, key = shell.app, shell.variables.get("CUSTOMER"), shell.variables.get("KEY_ID")
    cloudformation, functions = app.cloud.client("cloudformation"), app.cloud.client("lambda")
    function = app.outputs["FunctionName"]
    if heading == "Events from the rules' dead-letter queue":
        app.line(customerId=customer, outcome="created")
        assert left(app, app.outputs["RuleDeadLetterQueueUrl"]) == 0
    elif heading == "Correct a request":
        assert left(app, app.dead_letters) == 11
        assert "not there" in shell.run(block)
    elif heading == "Pause and resume":
        (mapping,) = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
        assert mapping["State"] == ("Disabled" if "--no-enabled" in block else "Enabled")
    elif heading == "Change one parameter" and "update-stack" in block:
        before = {p["ParameterKey"]: p["ParameterValue"] for p in cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]}
        assert (before["CreateKeyRate"], before["OutcomeBusName"]) == ("1", OUTCOME_BUS)
        assert functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]["CREATE_KEY_RATE"] == "1"
        shell.run(block.replace("change CreateKeyRate 1\n", "change CreateKeyRate 2.5; change EventSource crm; change EventSource ''\n"))
        after = {p["ParameterKey"]: p["ParameterValue"] for p in cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]}
        assert after == before | {"CreateKeyRate": "2.5"}
    elif heading == "Go back to the last release" and "cloudformation deploy" in block:
        parameters = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]
        assert functions.get_function_configuration(FunctionName=function)["MemorySize"] == 128
        shell.variables["BEFORE"] = "now.template"
        shell.run(block)
        assert functions.get_function_configuration(FunctionName=function)["MemorySize"] == 256
        assert cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"] == parameters
    elif heading == "A secret deleted by mistake" and "restore-secret" in block:
        app.line(messageId=app.send({"customerId": customer, "name": "Gold", "enabled": True}), outcome="existing")
    elif heading == "Events that were lost" and "put-events" in block:
        told = wait_for(lambda: app.sqs.receive_message(QueueUrl=app.heard, WaitTimeSeconds=1).get("Messages"), "the event")
        event = json.loads(told[0]["Body"])
        assert (event["source"], event["detail-type"]) == ("createkey", "API Key Ready")
        assert (event["detail"]["id"], event["detail"]["messageId"], event["detail"]["status"]) == (key, shell.variables["MESSAGE_ID"], "existing")
        assert not {"value", "format"} & set(event["detail"])
    elif heading == "ThrottlesAlarm" and "put-function-concurrency" in block:
        assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=function)
    elif heading == "Revoke" and "update-api-key" in block:
        assert not app.keys.get_api_key(apiKey=key)["enabled"]
    elif heading == "Revoke":
        assert key not in [k["id"] for k in app.all_keys()]
    elif heading == "Issue a key anew" and "delete-secret" in block:
        line = app.line(messageId=app.send({"customerId": customer, "name": "Gold", "enabled": True}), outcome="created")
        assert line["keyId"] != key
    elif heading == "Rotate a key, or end it":
        app.line(customerId=customer, outcome="rotated" if "Rotation" in block else "ended")
        assert [k["enabled"] for k in app.all_keys() if k.get("customerId") == customer].count(True) == (2 if "Rotation" in block else 0)
        if "End" in block:
            app.hasten()
    elif heading == "Before the first deployment":
        plans = [p for page in app.keys.get_paginator("get_usage_plans").paginate() for p in page["items"]]
        assert [{"apiId": shell.variables["API_ID"], "stage": "prod"}] in [p["apiStages"] for p in plans]
        (subscription,) = [s for s in app.cloud.client("sns").list_subscriptions()["Subscriptions"] if s["Protocol"] == "email"]
        assert subscription["TopicArn"].endswith(":createkey-alarms")
        assert app.cloud.client("events").describe_event_bus(Name="createkey-outcomes")["Arn"]
    elif heading == "Deploy":
        assert cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["EnableTerminationProtection"]
        cloudformation.update_termination_protection(StackName=STACK, EnableTerminationProtection=False)
    elif heading == "Another usage plan":
        assert app.plans_of(key) == {shell.variables["RIGHT_PLAN"]}
    elif heading == "Change the KMS key":
        name = shell.run(f"secret '{customer}' Gold").strip()
        assert app.secrets.describe_secret(SecretId=name)["KmsKeyId"] == shell.variables["KMS_KEY_ARN"]
