"""Checks template.yaml against docs and contract: `make test-template`.

The template is transformed as by SAM and checked twice, with the defaults
and with everything switched on.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

import iam
import logfilter
from cfn import ACCOUNT, REGION, ROOT, Stack, source, transformed

EVERYTHING = {
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "UsagePlanId": "gold01",
    "EventBusName": "signups",
    "EventSource": "com.example.signup,crm",
    "OutcomeBusName": "outcomes",
    "MarketplaceTopicArn": f"arn:aws:sns:{REGION}:287250355862:aws-mp-subscription-notification-abc",
    "MarketplaceEvents": "true",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call",
    "ResourceTags": "CostCentre=42,team=billing",
    "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundaries/developer",
}
DEFAULT, FULL = Stack(), Stack(**EVERYTHING)
BOTH = pytest.mark.parametrize("stack", [DEFAULT, FULL], ids=["defaults", "everything"])


# ---- What other people's tools say ----------------------------------------------


REQUESTS = ["API Key Requested", "API Key End Requested", "API Key Rotation Requested"]

def run(*command):
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def beside(tool):
    """Returns the path of a tool in this virtual environment."""
    return str(Path(sys.executable).with_name(tool))


def test_sam_validate_lint_reports_nothing():
    status, output = run(beside("sam"), "validate", "--lint")
    assert status == 0 and "valid SAM Template" in output, output


TEMPLATES = ["template.yaml", "events/schema/template.yaml"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_cfn_lint_reports_nothing_and_nothing_is_switched_off(template):
    status, output = run(beside("cfn-lint"), "--format", "parseable", template)
    assert (status, output) == (0, "")
    assert "cfn-lint" not in (ROOT / template).read_text()
    assert not list(ROOT.glob(".cfnlintrc*"))


@pytest.mark.parametrize("form", ["as written", "as transformed"])
def test_checkov_reports_nothing_but_what_is_suppressed_with_a_reason(form, tmp_path):
    template = ROOT / "template.yaml"
    if form == "as transformed":
        template = tmp_path / "template.json"
        template.write_text(json.dumps(transformed()))
    _, output = run(os.environ["CHECKOV"], "--file", str(template), "--framework", "cloudformation", "--output", "json",
                    "--skip-download", "--quiet")
    results = json.loads(output[output.index("{"):output.rindex("}") + 1])
    assert results["summary"]["failed"] == results["summary"]["parsing_errors"] == 0, [
        (f["check_id"], f["resource"]) for f in results["results"]["failed_checks"]]
    suppressed = [c for r in source()["Resources"].values() for c in r.get("Metadata", {}).get("checkov", {}).get("skip", [])]
    assert all(len(c["comment"]) > 20 for c in suppressed)
    assert results["summary"]["skipped"] == len(suppressed), "a suppression suppresses nothing"


def test_the_template_is_short_enough_to_be_sent_in_a_request():
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    for template in TEMPLATES:
        assert len((ROOT / template).read_bytes()) <= 51_200
    assert len(json.dumps(transformed())) <= 51_200


# ---- Parameters and outputs -----------------------------------------------------


def test_parameters_are_the_documented_ones_with_defaults_that_deploy():
    assert {name: p["Default"] for name, p in source()["Parameters"].items()} == {
        "SecretPrefix": "", "KmsKeyArn": "", "UsagePlanId": "", "EventBusName": "default", "EventSource": "", "OutcomeBusName": "",
        "MarketplaceTopicArn": "", "MarketplaceEvents": "false", "CreateKeyRate": 2, "AlarmTopicArn": "", "Architecture": "arm64",
        "LogLevel": "INFO", "LogRetentionDays": 30, "ResourceTags": "", "PermissionsBoundary": "",
    }


def test_every_parameter_is_described_constrained_and_grouped():
    template = source()
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(interface["ParameterLabels"]) == sorted(template["Parameters"])
    for name, parameter in template["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        assert parameter["ConstraintDescription"].startswith("must be"), name
        assert {"AllowedPattern", "AllowedValues", "MaxValue"} & set(parameter), name


def accepts(name, value):
    """Validates a parameter as CloudFormation does: a pattern must match the whole value, or each item of a list."""
    parameter = source()["Parameters"][name]
    if len(value) > parameter.get("MaxLength", 4096):
        return False
    if parameter["Type"] == "CommaDelimitedList":
        return all(re.fullmatch(parameter["AllowedPattern"], member.strip()) for member in value.split(","))
    if "AllowedPattern" in parameter:
        return re.fullmatch(parameter["AllowedPattern"], value) is not None
    if "AllowedValues" in parameter:
        return value in map(str, parameter["AllowedValues"])
    return parameter["MinValue"] <= float(value) <= parameter["MaxValue"]


@pytest.mark.parametrize("name, good, bad", [
    ("SecretPrefix", ["", "apikeys/", "a+=.@-_/Z9/", "a" * 439 + "/"], ["apikeys", "a b/", "a*/", "a?/", "ä/", "a" * 440 + "/"]),
    ("KmsKeyArn", ["", EVERYTHING["KmsKeyArn"], f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/mrk-1234", f"arn:aws-eusc:kms:eusc-de-east-1:{ACCOUNT}:key/1234"],
     ["alias/mine", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:key/x"]),
    ("UsagePlanId", ["", "a1b2c3"], ["a b", "a/b", "*"]),
    ("EventBusName", ["default", "sign-ups"], ["", "aws.partner/example.com/acct", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", "a b"]),
    ("EventSource", ["", "com.example.signup", "createkey.signup", "awsome", "crm,com.example.signup", "crm, signup"],
     ["createkey", "aws.s3", "a b", "crm,createkey", "crm,aws.s3"]),
    ("OutcomeBusName", ["", "default", "outcomes"], [f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", "*"]),
    ("MarketplaceTopicArn", ["", EVERYTHING["MarketplaceTopicArn"], f"arn:aws-eusc:sns:eusc-de-east-1:{ACCOUNT}:topic"], ["my-topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:a.fifo", "arn:aws:sqs:us-east-1:1:q"]),
    ("MarketplaceEvents", ["true", "false"], ["", "yes", "True"]),
    ("CreateKeyRate", ["0.5", "2", "2.5"], ["0", "-1", "2.6", "5"]),
    ("AlarmTopicArn", ["", EVERYTHING["AlarmTopicArn"]], ["on-call"]),
    # docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html, and the characters that are allowed in
    # tags in general: docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html.
    ("ResourceTags",
     ["", "team=billing", "team=", "Cost Centre=42,team:a/b=x=y z,e-mail=a.b+c@example.com", "awsome=1", "k" * 128 + "=" + "v" * 256,
      ",".join(f"k{i}=v" for i in range(10)), "Größe=ö", "顧客=鍵", "a=1,aa=2", "a=b,b=a", "Createkey:x=1"],
     ["team", "=billing", "team=billing,", ",team=billing", "team=billing,x", "team=billing;env=prod", "team=<b>", "team=a\nb", "team=a*", "team=€", "team=e\u0301", "team=\u3000", "team=😀",
      "aws:team=1", "AWS:team=1", "a=1,Aws:b=2", "createkey:secret=x", "a=1,createkey:b=2", "k" * 129 + "=", "k=" + "v" * 257,
      ",".join(f"k{i}=v" for i in range(11)), "a=1,a=2", "b=0,a=1,c=3,a=2", "a=1,b=2,a="]),
    ("PermissionsBoundary",
     ["", EVERYTHING["PermissionsBoundary"], "arn:aws:iam::aws:policy/PowerUserAccess", f"arn:aws-eusc:iam::{ACCOUNT}:policy/a+=,.@_-b"],
     ["developer", f"arn:aws:iam::{ACCOUNT}:role/developer", "arn:aws:iam:::policy/developer", f"arn:aws:iam::{ACCOUNT}:policy/", f"arn:aws:iam::{ACCOUNT}:policy/a b"]),
    ("Architecture", ["arm64", "x86_64"], ["amd64"]),
    ("LogLevel", ["DEBUG", "INFO"], ["WARN", "info", ""]),
    ("LogRetentionDays", ["1", "30", "3653"], ["0", "31"]),
])
def test_parameters_stop_what_would_only_fail_later(name, good, bad):
    assert [v for v in good if not accepts(name, v)] == []
    assert [v for v in bad if accepts(name, v)] == []


def test_outputs_are_the_documented_ones():
    assert set(source()["Outputs"]) == {
        "QueueUrl", "QueueArn", "DeadLetterQueueUrl", "RuleDeadLetterQueueUrl", "FunctionName", "FunctionArn", "LogGroupName",
        "DashboardUrl", "SenderPolicyArn", "ReaderPolicyArn",
    }
    assert {name: output["Value"] for name, output in DEFAULT.outputs.items() if name != "DashboardUrl"} == {
        "QueueUrl": DEFAULT.name("RequestQueue"), "QueueArn": DEFAULT.arn("RequestQueue"),  # Ref of a queue is its URL
        "DeadLetterQueueUrl": DEFAULT.name("DeadLetterQueue"), "RuleDeadLetterQueueUrl": DEFAULT.name("RuleDeadLetterQueue"),
        "FunctionName": DEFAULT.name("CreateKeyFunction"), "FunctionArn": DEFAULT.arn("CreateKeyFunction"),
        "LogGroupName": DEFAULT.name("CreateKeyLogGroup"),
        "SenderPolicyArn": DEFAULT.arn("SenderPolicy"), "ReaderPolicyArn": DEFAULT.arn("ReaderPolicy"),
    }
    assert DEFAULT.outputs["DashboardUrl"]["Value"].endswith("#dashboards/dashboard/" + DEFAULT.name("Dashboard"))


# ---- Queues -----------------------------------------------------------------------

QUEUES = ["RequestQueue", "DeadLetterQueue", "RuleDeadLetterQueue"]


def kept(stack, name):
    """Reports whether a resource is kept when the stack is deleted or replaces it, and removed when its creation fails.

    docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html; UpdateReplacePolicy has no
    RetainExceptOnCreate.
    """
    resource = stack.resources[name]
    return (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@BOTH
def test_queues(stack):
    assert sorted(stack.of_type("AWS::SQS::Queue")) == sorted(QUEUES)
    for name in QUEUES:
        assert kept(stack, name), name
        assert stack.properties(name)["SqsManagedSseEnabled"] is True
        assert "FifoQueue" not in stack.properties(name)
    request = stack.properties("RequestQueue")
    assert request["VisibilityTimeout"] == 6 * stack.properties("CreateKeyFunction")["Timeout"]
    assert request["MessageRetentionPeriod"] == 10 * 24 * 3600
    assert request["RedrivePolicy"] == {"deadLetterTargetArn": stack.arn("DeadLetterQueue"), "maxReceiveCount": 480}
    assert 480 * request["VisibilityTimeout"] == 24 * 3600, "an outage of a day"
    assert stack.properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert stack.properties("DeadLetterQueue")["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue", "sourceQueueArns": [stack.arn("RequestQueue")]}
    assert stack.properties("RuleDeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert stack.properties("RuleDeadLetterQueue")["RedriveAllowPolicy"] == {"redrivePermission": "denyAll"}


def test_a_queue_that_was_kept_does_not_block_a_new_stack_of_the_same_name():
    assert re.fullmatch(r"createkey-requests-[0-9a-f-]{36}", DEFAULT.name("RequestQueue"))
    assert "QueueName" not in DEFAULT.properties("DeadLetterQueue") | DEFAULT.properties("RuleDeadLetterQueue")


@BOTH
def test_queue_policies(stack):
    rules = [stack.arn(name) for name in ("RequestRule", "MarketplaceRule") if name in stack.resources]
    policies = {p["Queues"][0]: p["PolicyDocument"]["Statement"] for p in stack.of_type("AWS::SQS::QueuePolicy").values()}
    assert set(policies) == {stack.name(name) for name in QUEUES}
    for name in QUEUES:
        deny, *allow = policies[stack.name(name)]
        assert deny == {"Sid": "OnlyOverTls", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": stack.arn(name),
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        want = {}
        if name == "RequestQueue":
            want["events.amazonaws.com"] = {"ArnEquals": {"aws:SourceArn": rules}}
        if name in ("RequestQueue", "RuleDeadLetterQueue") and stack is FULL:
            want["sns.amazonaws.com"] = {"ArnEquals": {"aws:SourceArn": EVERYTHING["MarketplaceTopicArn"]}}
        if name == "RuleDeadLetterQueue":
            want["events.amazonaws.com"] = {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/*"}}
        assert {s["Principal"]["Service"]: s["Condition"] for s in allow} == want
        assert all((s["Effect"], s["Action"], s["Resource"]) == ("Allow", "sqs:SendMessage", stack.arn(name)) for s in allow)


# ---- Ways into the function -------------------------------------------------------


@BOTH
def test_the_queue_is_the_only_way_in(stack):
    (mapping,) = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping == {
        "EventSourceArn": stack.arn("RequestQueue"), "FunctionName": stack.name("CreateKeyFunction"), "BatchSize": 2,
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": 2}, "Enabled": True,
    }, "with no batching window"
    assert not [r["Type"] for r in stack.resources.values() if r["Type"] in (
        "AWS::Lambda::Permission", "AWS::Lambda::Url", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Alias")]
    assert "ReservedConcurrentExecutions" not in stack.properties("CreateKeyFunction")


def test_a_batch_ends_in_time_at_the_lowest_rate():
    slowest = source()["Parameters"]["CreateKeyRate"]["MinValue"]
    batch = DEFAULT.properties("CreateKeyFunctionRequests")["BatchSize"]
    timeout = DEFAULT.properties("CreateKeyFunction")["Timeout"]
    assert 2 * batch / slowest < timeout, "even if every call is throttled once"
    calls_of_ten_plans = 1 + 10
    assert batch * calls_of_ten_plans / (2 * slowest) < timeout - 6, "with the seconds kept for the answer, the bus and the calls that follow"
    assert timeout <= 30, "an operator waits a minute before he deletes a key"
    concurrency = DEFAULT.properties("CreateKeyFunctionRequests")["ScalingConfig"]["MaximumConcurrency"]
    assert concurrency * source()["Parameters"]["CreateKeyRate"]["MaxValue"] == 5, "the account's quota"


def test_requests_come_by_rule():
    target = {"Id": "RequestQueue", "Arn": DEFAULT.arn("RequestQueue"), "DeadLetterConfig": {"Arn": DEFAULT.arn("RuleDeadLetterQueue")}}
    assert list(DEFAULT.of_type("AWS::Events::Rule")) == ["RequestRule"]
    rule = DEFAULT.properties("RequestRule")
    assert (rule["EventBusName"], rule["Targets"]) == ("default", [target])
    assert rule["EventPattern"] == {"source": [{"anything-but": "createkey"}], "detail-type": REQUESTS}
    assert DEFAULT.resources["RequestRule"]["DependsOn"] == "RuleDeadLetterQueuePolicy", "what the other queue refuses ends there"
    assert FULL.properties("RequestRule")["EventBusName"] == "signups"
    assert FULL.properties("RequestRule")["EventPattern"] == {"source": ["com.example.signup", "crm"], "detail-type": REQUESTS}
    assert Stack(EventSource=" crm , signup").properties("RequestRule")["EventPattern"]["source"] == ["crm", "signup"]
    for typo in (",crm", "crm,", ",,crm"):
        rule, sender = (Stack(EventSource=typo).properties(name) for name in ("RequestRule", "SenderPolicy"))
        assert set(rule["EventPattern"]["source"]) == {"", "crm"}, "a comma too many opens the rule to nobody"
        assert set(sender["PolicyDocument"]["Statement"][1]["Condition"]["StringEquals"]["events:source"]) == {"", "crm"}


def test_an_outcome_bus_that_does_not_exist_fails_the_deployment():
    assert "OutcomeRule" not in DEFAULT.resources
    rule = FULL.properties("OutcomeRule")
    assert rule["EventBusName"] == "outcomes", "PutRule answers ResourceNotFoundException for a bus that does not exist"
    assert "Targets" not in rule and rule["State"] == "DISABLED"
    assert "createkey" not in rule["EventPattern"]["source"], "no rule of the template's own matches an outcome"


def test_marketplace_is_off_until_it_is_switched_on():
    assert not DEFAULT.of_type("AWS::SNS::Subscription")
    (subscription,) = FULL.of_type("AWS::SNS::Subscription").values()
    assert subscription == {
        "TopicArn": EVERYTHING["MarketplaceTopicArn"], "Region": REGION, "Protocol": "sqs", "Endpoint": FULL.arn("RequestQueue"),
        "FilterPolicyScope": "MessageBody", "FilterPolicy": {"action": ["subscribe-success", "unsubscribe-success"]},
        "RedrivePolicy": {"deadLetterTargetArn": FULL.arn("RuleDeadLetterQueue")},
    }
    rule = FULL.properties("MarketplaceRule")
    assert "EventBusName" not in rule, "AWS's own events come on the default bus"
    assert rule["EventPattern"] == {"source": ["aws.agreement-marketplace"], "detail-type": ["License Updated - Manufacturer", "License Deprovisioned - Manufacturer"]}
    assert FULL.resources["MarketplaceRule"]["DependsOn"] == ["RequestQueuePolicy", "RuleDeadLetterQueuePolicy"], "which expect it"
    assert FULL.resources["MarketplaceSubscription"]["DependsOn"] == ["RequestQueuePolicy", "RuleDeadLetterQueuePolicy"]
    assert [(t["Arn"], t["DeadLetterConfig"]["Arn"]) for t in rule["Targets"]] == [(FULL.arn("RequestQueue"), FULL.arn("RuleDeadLetterQueue"))]
    only_topic, only_events = (Stack(**{name: EVERYTHING[name]}) for name in ("MarketplaceTopicArn", "MarketplaceEvents"))
    assert "MarketplaceSubscription" in only_topic.resources and "MarketplaceRule" not in only_topic.resources
    assert "MarketplaceRule" in only_events.resources and "MarketplaceSubscription" not in only_events.resources


def test_a_topic_of_another_region_has_no_dead_letter_queue_here():
    """It would have to be in the subscription's Region: docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html."""
    elsewhere = Stack(MarketplaceTopicArn="arn:aws:sns:us-west-2:287250355862:aws-mp-subscription-notification-abc")
    (subscription,) = elsewhere.of_type("AWS::SNS::Subscription").values()
    assert subscription["Region"] == "us-west-2"
    assert "RedrivePolicy" not in subscription
    statements = elsewhere.properties("RuleDeadLetterQueuePolicy")["PolicyDocument"]["Statement"]
    assert [s["Sid"] for s in statements] == ["OnlyOverTls", "FromRules"]


# ---- The function -----------------------------------------------------------------


@BOTH
def test_function(stack):
    function = stack.properties("CreateKeyFunction")
    assert (function["Handler"], function["Runtime"], function["Architectures"]) == ("bootstrap", "provided.al2023", ["arm64"])
    assert function["LoggingConfig"] == {
        "LogGroup": stack.name("CreateKeyLogGroup"), "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    assert stack.properties("CreateKeyLogGroup") == {"RetentionInDays": "30"}
    assert kept(stack, "CreateKeyLogGroup"), "the reasons of what lies on the queues"
    assert source()["Resources"]["CreateKeyFunction"]["Metadata"]["BuildMethod"] == "makefile"
    assert source()["Resources"]["CreateKeyFunction"]["Properties"]["CodeUri"] == "."


def test_environment():
    def variables(stack):
        return stack.properties("CreateKeyFunction")["Environment"]["Variables"]

    assert variables(DEFAULT) == {
        "SECRET_PREFIX": "createkey/", "KMS_KEY_ID": "", "USAGE_PLAN_ID": "", "OUTCOME_BUS": "", "CREATE_KEY_RATE": "2",
        "LOG_LEVEL": "INFO", "AWS_ENDPOINT_URL": "", "RESOURCE_TAGS": "",
        "DEAD_LETTER_QUEUE_URL": DEFAULT.name("DeadLetterQueue"),  # Ref of a queue is its URL
    }
    assert variables(FULL) == variables(DEFAULT) | {
        "KMS_KEY_ID": EVERYTHING["KmsKeyArn"], "USAGE_PLAN_ID": "gold01", "OUTCOME_BUS": "outcomes",
        "RESOURCE_TAGS": "CostCentre=42,team=billing"}
    assert variables(Stack(SecretPrefix="customers/"))["SECRET_PREFIX"] == "customers/"
    debug = Stack(LogLevel="DEBUG").properties("CreateKeyFunction")
    assert debug["Environment"]["Variables"]["LOG_LEVEL"] == debug["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"


def test_the_longest_parameters_fit_into_the_functions_environment():
    """4 KB for all variables: docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
    key = (source()["Parameters"]["ResourceTags"].get("MaxLength", 10 * 385 + 9) - 9) // 10 - 257
    longest = {"SecretPrefix": "p" * 439 + "/", "KmsKeyArn": f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/mrk-{'1' * 32}", "UsagePlanId": "u" * 128, "OutcomeBusName": "o" * 256,
               "ResourceTags": ",".join(f"{'k' * (key - 1)}{i}={'v' * 256}" for i in range(10))}
    assert all(accepts(name, value) for name, value in longest.items())
    variables = Stack(**longest).properties("CreateKeyFunction")["Environment"]["Variables"]
    queue_url = f"https://sqs.us-gov-west-1.amazonaws.com/{ACCOUNT}/{'q' * 80}"
    assert sum(len(name) + len(value) for name, value in (variables | {"DEAD_LETTER_QUEUE_URL": queue_url}).items()) <= 4096


# ---- Permissions ------------------------------------------------------------------


def role(stack):
    assert stack.properties("CreateKeyRole")["ManagedPolicyArns"] == [stack.arn("CreateKeyPolicy")]
    return stack.properties("CreateKeyPolicy")["PolicyDocument"]


# Permissions that the executable itself does not use, and who does.
NOT_THE_EXECUTABLES = {
    "Log": "Lambda writes the log as the role",
    "Poll": "the event source mapping polls as the role",
    "EncryptValue": "Secrets Manager calls KMS for the role: GenerateDataKey to write, Decrypt to read and to write again",
}


# TestExecutable's recording: one of each kind of call that the executable made,
# and everything that it wrote.
EXECUTABLE = Path(os.environ["CREATEKEY_EXECUTABLE"])


def recorded():
    return json.loads((EXECUTABLE / "calls.json").read_text())


def test_the_role_allows_each_call_that_the_executable_makes():
    missing = [(call["operation"], p) for call in recorded() for p in iam.needed_by(call, FULL) if not iam.allows(role(FULL), p)]
    assert missing == []


def test_the_role_allows_nothing_that_no_call_needs():
    needed = [p for call in recorded() for p in iam.needed_by(call, FULL)]
    idle = [(s["Sid"], s["Action"]) for s in iam.statements(role(FULL))
            if s["Sid"] not in NOT_THE_EXECUTABLES and not any(iam.allowed_by(s, p) for p in needed)]
    assert idle == []


def test_the_role_changes_no_key_but_createkeys():
    """aws:ResourceTag: docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-iam-policy.html"""
    key = f"arn:aws:apigateway:{REGION}::/apikeys/a1b2c3"
    ours = {"aws:ResourceTag/createkey:secret": "dev/cust-1/Gold"}
    assert iam.allows(role(FULL), iam.Permission("apigateway:PATCH", key, ours))
    assert not iam.allows(role(FULL), iam.Permission("apigateway:PATCH", key, {"aws:ResourceTag/team": "billing"}))
    assert not iam.allows(role(FULL), iam.Permission("apigateway:PATCH", key))


def test_no_two_statements_of_the_role_allow_the_same():
    needed = [p for call in recorded() for p in iam.needed_by(call, FULL)]
    for permission in needed:
        allowing = [s["Sid"] for s in iam.statements(role(FULL)) if iam.allowed_by(s, permission)]
        assert len(allowing) == 1, (permission, allowing)


@BOTH
def test_the_role_is_written_out_and_narrow(stack):
    properties = stack.properties("CreateKeyRole")
    assert list(stack.of_type("AWS::IAM::Role")) == ["CreateKeyRole"], "SAM generates none"
    assert "Policies" not in properties, "Config's rule iam-no-inline-policy-check"
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: white space does not count.
    assert len(json.dumps(role(stack), separators=(",", ":"))) <= 6144
    assert properties.get("PermissionsBoundary") == (EVERYTHING["PermissionsBoundary"] if stack is FULL else None)
    assert properties["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    for statement in iam.statements(role(stack)):
        assert statement["Effect"] == "Allow"
        assert re.fullmatch(r"[a-z]+:[A-Za-z]+", statement["Action"]), "no wildcard in an action"
        service, region = statement["Resource"].split(":")[2:4]
        assert (service, region) == (statement["Action"].split(":")[0], REGION), "the resource is one of the action's service"
    assert "logs:CreateLogGroup" not in {s["Action"] for s in iam.statements(role(stack))}


def test_the_roles_optional_parts():
    optional = {"EncryptValue", "TellOutcome"}
    assert {s["Sid"] for s in role(FULL)["Statement"]} - {s["Sid"] for s in role(DEFAULT)["Statement"]} == optional
    by_sid = {s["Sid"]: s for s in role(FULL)["Statement"]}
    assert by_sid["TellOutcome"]["Condition"] == {"StringEquals": {"events:source": "createkey"}}
    assert by_sid["TellOutcome"]["Resource"].endswith(":event-bus/outcomes")
    assert (by_sid["SetAside"]["Action"], by_sid["SetAside"]["Resource"]) == ("sqs:SendMessage", FULL.arn("DeadLetterQueue"))
    secrets = by_sid["StoreValue"]["Resource"]
    assert secrets == f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:createkey/*"
    prefixed = {s["Sid"]: s for s in role(Stack(SecretPrefix="customers/"))["Statement"]}
    assert prefixed["StoreValue"]["Resource"] == f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:customers/*"
    assert set(by_sid["StoreValue"]["Action"]) - set(prefixed["StoreValue"]["Action"]) == {"secretsmanager:TagResource"}


PARTITIONS = {
    "aws": ("eu-west-1", "amazonaws.com", "console.aws.amazon.com"),
    "aws-cn": ("cn-north-1", "amazonaws.com.cn", "console.amazonaws.cn"),
    "aws-us-gov": ("us-gov-west-1", "amazonaws.com", "console.amazonaws-us-gov.com"),
    "aws-eusc": ("eusc-de-east-1", "amazonaws.eu", "console.amazonaws-eusc.eu"),
    "aws-iso": ("us-iso-east-1", "c2s.ic.gov", "console.c2shome.ic.gov"),
    "aws-iso-b": ("us-isob-east-1", "sc2s.sgov.gov", "console.sc2shome.sgov.gov"),
    "aws-iso-e": ("eu-isoe-west-1", "cloud.adc-e.uk", "console.csphome.adc-e.uk"),
    "aws-iso-f": ("us-isof-south-1", "csp.hci.ic.gov", "console.csphome.hci.ic.gov"),
}


@pytest.mark.parametrize("partition", PARTITIONS)
def test_it_deploys_in_every_partition(partition):
    region, suffix, console = PARTITIONS[partition]
    where = {"AWS::Partition": partition, "AWS::Region": region, "AWS::URLSuffix": suffix}
    key = f"arn:{partition}:kms:{region}:{ACCOUNT}:key/1234"
    arns = {"KmsKeyArn": key, "MarketplaceTopicArn": f"arn:{partition}:sns:{region}:287250355862:topic",
            "AlarmTopicArn": f"arn:{partition}:sns:{region}:{ACCOUNT}:on-call", "PermissionsBoundary": f"arn:{partition}:iam::{ACCOUNT}:policy/developer"}
    assert all(accepts(name, value) for name, value in arns.items())
    stack = Stack(where, **EVERYTHING | arns)
    found = re.findall(r"arn:[^:]*:[a-z]+:[^:]*:", json.dumps([stack.resources, stack.outputs]))
    foreign = [arn for arn in found if arn.split(":")[1] != partition or arn.split(":")[3] not in (region, "")]
    assert found and not foreign
    assert stack.outputs["DashboardUrl"]["Value"].startswith(f"https://{region}.{console}/cloudwatch/")
    # Secrets Manager documents secretsmanager.REGION.amazonaws.com, and nothing for other partitions:
    # docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html.
    for policy in (role(stack), stack.properties("ReaderPolicy")["PolicyDocument"]):
        for via in ("amazonaws.com", suffix):
            assert iam.allows(policy, iam.Permission("kms:Decrypt", key, {"kms:ViaService": f"secretsmanager.{region}.{via}"}))
        for other in (f"ssm.{region}.{suffix}", f"secretsmanager.us-west-2.{suffix}", None):
            assert not iam.allows(policy, iam.Permission("kms:Decrypt", key, {"kms:ViaService": other}))


def test_sender_policy():
    def bus(name):
        return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"

    def event(bus_name, source, detail_type="API Key Requested"):
        return iam.Permission("events:PutEvents", bus(bus_name), {"events:source": source, "events:detail-type": detail_type})

    for stack, bus_name in ((DEFAULT, "default"), (FULL, "signups")):
        policy = stack.properties("SenderPolicy")["PolicyDocument"]
        assert iam.allows(policy, iam.Permission("sqs:SendMessage", stack.arn("RequestQueue")))
        assert iam.allows(policy, event(bus_name, "com.example.signup"))
        for refused in (
            event(bus_name, "createkey"), event(bus_name, "com.example.signup", "API Key Ready"), event("another", "com.example.signup"),
            iam.Permission("sqs:ReceiveMessage", stack.arn("RequestQueue")), iam.Permission("sqs:SendMessage", stack.arn("DeadLetterQueue")),
        ):
            assert not iam.allows(policy, refused), refused
    assert iam.allows(FULL.properties("SenderPolicy")["PolicyDocument"], event("signups", "crm"))
    assert iam.allows(DEFAULT.properties("SenderPolicy")["PolicyDocument"], event("default", "anybody"))
    assert not iam.allows(FULL.properties("SenderPolicy")["PolicyDocument"], event("signups", "anybody"))


@BOTH
def test_reader_policy(stack):
    policy = stack.properties("ReaderPolicy")["PolicyDocument"]
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
    assert iam.allows(policy, iam.Permission("secretsmanager:GetSecretValue", secret + "createkey/cust-1/Gold-AbCdEf"))
    for refused in ("secretsmanager:GetSecretValue", secret + "other/cust-1/Gold-AbCdEf"), (
            "secretsmanager:GetSecretValue", secret + "createkey2/cust-1/Gold-AbCdEf"), ("secretsmanager:PutSecretValue", secret + "createkey/x-AbCdEf"):
        assert not iam.allows(policy, iam.Permission(*refused))
    decrypt = iam.Permission("kms:Decrypt", EVERYTHING["KmsKeyArn"], {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"})
    assert iam.allows(policy, decrypt) == (stack is FULL)
    assert not iam.allows(policy, iam.Permission("kms:Decrypt", EVERYTHING["KmsKeyArn"], {}))


# ---- Alarms, dashboard, queries -----------------------------------------------------

WAKE, MORNING = "wake somebody", "the next morning"

# Namespace, metric, threshold, minutes, severity.
ALARMS = {
    "RetriedAlarm": ("createkey/createkey", "Retried", 0, 10, WAKE),
    "DeadLetterAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0, 5, MORNING),
    "DeadLetterAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", 7 * 24 * 3600, 5, MORNING),
    "RuleDeadLetterAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0, 5, WAKE),
    "RuleDeadLetterAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", 7 * 24 * 3600, 5, MORNING),
    "OldestMessageAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", 3600, 5, WAKE),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", 0, 5, WAKE),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", 0, 5, MORNING),
    "RuleFailedAlarm": ("AWS/Events", "FailedInvocations", 0, 5, WAKE),
    "RuleLostAlarm": ("AWS/Events", "InvocationsFailedToBeSentToDlq", 0, 5, WAKE),
    "MarketplaceRuleFailedAlarm": ("AWS/Events", "FailedInvocations", 0, 5, WAKE),
    "MarketplaceRuleLostAlarm": ("AWS/Events", "InvocationsFailedToBeSentToDlq", 0, 5, WAKE),
    "KeyQuotaAlarm": ("createkey/createkey", "KeyQuotaRefused", 0, 5, WAKE),
    "UnfinishedAlarm": ("createkey/createkey", "Unfinished", 0, 5, MORNING),
}


@BOTH
def test_alarms(stack):
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert set(alarms) == {name for name in ALARMS if stack is FULL or not name.startswith("Marketplace")}
    for name, alarm in alarms.items():
        minutes = alarm["Period"] * alarm["EvaluationPeriods"] / 60
        (severity,) = re.findall(r"^Severity: ([a-z ]+)\. ", alarm["AlarmDescription"])
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"], minutes, severity) == ALARMS[name], name
        assert alarm["Statistic"] == ("Maximum" if alarm["Namespace"] == "AWS/SQS" else "Sum")
        assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
        told = [EVERYTHING["AlarmTopicArn"]] if stack is FULL else []
        assert alarm["AlarmActions"] == alarm["OKActions"] == told
    # A failing message comes again every three minutes, so each period must count it.
    assert alarms["RetriedAlarm"]["Period"] > stack.properties("RequestQueue")["VisibilityTimeout"]


def test_alarm_dimensions():
    def dimensions(stack, alarm):
        return {d["Name"]: d["Value"] for d in stack.properties(alarm).get("Dimensions", [])}

    for queue in ("DeadLetter", "RuleDeadLetter"):
        for alarm in (f"{queue}Alarm", f"{queue}AgeAlarm"):
            assert dimensions(DEFAULT, alarm) == {"QueueName": DEFAULT.name(f"{queue}Queue")}
    assert dimensions(DEFAULT, "OldestMessageAlarm") == {"QueueName": DEFAULT.name("RequestQueue")}
    assert dimensions(DEFAULT, "ErrorsAlarm") == dimensions(DEFAULT, "ThrottlesAlarm") == {"FunctionName": DEFAULT.name("CreateKeyFunction")}
    # On a custom bus, metrics also have the bus as a dimension.
    for alarm in ("RuleFailedAlarm", "RuleLostAlarm"):
        assert dimensions(DEFAULT, alarm) == {"RuleName": DEFAULT.name("RequestRule")}
        assert dimensions(FULL, alarm) == {"EventBusName": "signups", "RuleName": FULL.name("RequestRule")}
    for alarm in ("MarketplaceRuleFailedAlarm", "MarketplaceRuleLostAlarm"):
        assert dimensions(FULL, alarm) == {"RuleName": FULL.name("MarketplaceRule")}


def test_every_alarm_says_what_to_do_and_where_the_runbook_is():
    runbook = (ROOT / "docs" / "operations.md").read_text()
    sections = {heading.lower() for heading in re.findall(r"^#+ ([A-Za-z]+)$", runbook, re.MULTILINE)}
    for name, alarm in FULL.of_type("AWS::CloudWatch::Alarm").items():
        description = alarm["AlarmDescription"]
        assert len(description) <= 1024, "CloudWatch's limit"
        assert "First:" in description, name
        (section,) = re.findall(r"Runbook: docs/operations\.md#([a-z]+)$", description)
        assert section in sections, f"{name}: the runbook has no section {section}"


def filters():
    return {f["MetricTransformations"][0]["MetricName"]: f for f in DEFAULT.of_type("AWS::Logs::MetricFilter").values()}


def counted(**members):
    """Returns the metrics that count a log line with these members."""
    return {name for name, f in filters().items() if logfilter.matches(f["FilterPattern"], json.dumps(members))}


def test_metric_filters_count_each_line_that_the_executable_writes():
    seen = set()
    for text in (EXECUTABLE / "output.log").read_text().splitlines():
        line = json.loads(text)
        if "outcome" in line:
            code = {"quota": {"KeyQuotaRefused"}, "unfinished": {"Unfinished"}}.get(line.get("code"), set())
            assert counted(**line) == {line["outcome"].capitalize()} | code
            seen |= counted(**line)
        else:  # it could not start
            assert counted(**line) == set()
    assert seen == set(filters()) - {"InitDuration"}, "TestExecutable brings about each outcome and each code"


def test_metric_filters_write_what_alarms_and_dashboard_read():
    for name, metric in filters().items():
        assert metric["LogGroupName"] == DEFAULT.name("CreateKeyLogGroup")
        (transformation,) = metric["MetricTransformations"]
        assert transformation["MetricNamespace"] == "createkey/createkey"
        assert transformation["MetricValue"] == ("$.record.metrics.initDurationMs" if name == "InitDuration" else "1")
        assert transformation.get("DefaultValue", 0) == 0


def test_metric_filters_tell_the_outcomes_apart():
    for outcome in ("created", "existing", "ended", "rotated", "rejected", "retried"):
        assert counted(outcome=outcome, reason="") == {outcome.capitalize()}
    assert counted(outcome="retried", code="quota") == {"Retried", "KeyQuotaRefused"}
    assert counted(outcome="retried", code="unfinished") == {"Retried", "Unfinished"}
    # As Lambda writes its reports
    # (docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report).
    assert counted(type="platform.report", record={"metrics": {"durationMs": 12.5, "initDurationMs": 80.1}}) == {"InitDuration"}
    assert counted(type="platform.report", record={"metrics": {"durationMs": 12.5}}) == set()
    assert counted(level="ERROR", reason="cannot start: LOG_LEVEL: must be DEBUG or INFO") == set()


def test_dashboard_shows_what_was_promised():
    body = json.loads(DEFAULT.properties("Dashboard")["DashboardBody"])
    shown = set()
    for widget in body["widgets"]:
        previous = []
        for metric in widget["properties"].get("metrics", []):
            path = [part for part in metric if isinstance(part, str)]
            if path[0] == "...":  # repeats the line before, except for what follows
                path = previous[:len(previous) - len(path) + 1] + path[1:]
            path = [previous[i] if part == "." else part for i, part in enumerate(path)]
            previous = path
            shown.add(tuple(path))
    function, queue = ("FunctionName", DEFAULT.name("CreateKeyFunction")), ("QueueName", DEFAULT.name("RequestQueue"))
    assert shown == {("createkey/createkey", name) for name in filters()} | {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", *queue), ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", *queue),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", *queue),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", DEFAULT.name("DeadLetterQueue")),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", DEFAULT.name("RuleDeadLetterQueue")),
        ("AWS/Lambda", "Duration", *function), ("AWS/Lambda", "Throttles", *function), ("AWS/Lambda", "Errors", *function),
        ("AWS/Lambda", "ConcurrentExecutions", *function),
    }
    assert DEFAULT.name("Dashboard") == f"createkey-{REGION}", "dashboards are the account's: a stack of the same name in another Region has its own"


def test_saved_queries():
    queries = DEFAULT.of_type("AWS::Logs::QueryDefinition").values()
    assert {q["Name"] for q in queries} == {f"createkey/{name}" for name in ("by message id", "by customer", "reasons of the last day")}
    assert all(re.fullmatch(r"([^:*/]+/?)*[^:*/]+", q["Name"]) for q in queries), "PutQueryDefinition's pattern"
    members = {"outcome", "reason", "code", "customerId", "keyId", "secretName", "durationMs", "messageId"}
    for query in queries:
        assert query["LogGroupNames"] == [DEFAULT.name("CreateKeyLogGroup")]
        for line in query["QueryString"].splitlines():
            if line.startswith("fields @timestamp, "):
                assert set(line.removeprefix("fields @timestamp, ").split(", ")) <= members


# ---- Schema registry ----------------------------------------------------------------


def test_the_schema_registry_is_a_template_of_its_own():
    assert not [r for r in source()["Resources"].values() if r["Type"].startswith("AWS::EventSchemas::")], (
        "StackSets and Service Catalog refuse a type that a Region lacks, conditions or not")
    template = yaml_parse((ROOT / "events" / "schema" / "template.yaml").read_text())
    assert "Transform" not in template and "Parameters" not in template, "it deploys as it is"
    kinds = {name: r["Type"].removeprefix("AWS::EventSchemas::") for name, r in template["Resources"].items()}
    (registry,) = [name for name, kind in kinds.items() if kind == "Registry"]
    schemas = [r["Properties"] for name, r in template["Resources"].items() if kinds[name] == "Schema"]
    assert len(schemas) == len(kinds) - 1
    for schema in schemas:
        assert (schema["Type"], schema["RegistryName"]) == ("OpenApi3", {"Fn::GetAtt": [registry, "RegistryName"]})
        assert len(schema["Content"]) <= 100_000  # AWS::EventSchemas::Schema's limit
        event = json.loads(schema["Content"])["components"]["schemas"]["AWSEvent"]
        (told,) = event["properties"]["detail-type"]["enum"]
        assert told in schema["Description"]
    requests = FULL.properties("RequestRule")["EventPattern"]["detail-type"]
    assert {s["SchemaName"] for s in schemas if not s["SchemaName"].startswith("createkey@")} == {
        told.replace(" ", "") for told in requests}


# ---- samconfig.toml -----------------------------------------------------------------


def test_samconfig_has_no_setting_without_effect():
    """SAM takes a makefile build as new each time, so cached never hits (and hashes the whole tree), and one function
    leaves nothing to build in parallel."""
    options = {command: run(beside("sam"), command, "--help")[1] for command in ("build", "validate", "deploy")}
    for environment, commands in tomllib.loads((ROOT / "samconfig.toml").read_text()).items():
        if environment == "version":
            continue
        assert list(commands.pop("global")["parameters"]) == ["stack_name"]
        for command, settings in commands.items():
            assert not {"cached", "parallel"} & set(settings["parameters"]), environment
            for setting in settings["parameters"]:
                assert "--" + setting.replace("_", "-") in options[command], f"sam {command} has no option {setting}"
