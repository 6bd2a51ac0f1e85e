"""template.yaml, held against docs and contract: `make test-template`.

The template is transformed as SAM does it and looked at twice, with the defaults
and with everything switched on.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import iam
import logfilter
from cfn import ACCOUNT, REGION, ROOT, Stack, source, transformed

EVERYTHING = {
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "UsagePlanId": "gold01",
    "EventBusName": "signups",
    "EventSource": "com.example.signup",
    "OutcomeBusName": "outcomes",
    "MarketplaceTopicArn": "arn:aws:sns:us-west-2:287250355862:aws-mp-subscription-notification-abc",
    "MarketplaceEvents": "true",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call",
    "EventSchemas": "true",
}
DEFAULT, FULL = Stack(), Stack(**EVERYTHING)
BOTH = pytest.mark.parametrize("stack", [DEFAULT, FULL], ids=["defaults", "everything"])


# ---- What other people's tools say ----------------------------------------------


def run(*command):
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def beside(tool):
    """A tool of the virtual environment that runs this."""
    return str(Path(sys.executable).with_name(tool))


def test_sam_validate_lint_reports_nothing():
    status, output = run(beside("sam"), "validate", "--lint")
    assert status == 0 and "valid SAM Template" in output, output


def test_cfn_lint_reports_nothing_and_nothing_is_switched_off():
    status, output = run(beside("cfn-lint"), "--format", "parseable", "template.yaml")
    assert (status, output) == (0, "")
    assert "cfn-lint" not in (ROOT / "template.yaml").read_text()
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
    assert results["summary"]["skipped"] == len(suppressed), "a suppression that suppresses nothing"


def test_the_template_is_short_enough_to_be_sent_in_a_request():
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    assert len((ROOT / "template.yaml").read_bytes()) <= 51_200
    assert len(json.dumps(transformed())) <= 51_200


# ---- Parameters and outputs -----------------------------------------------------


def test_parameters_are_the_documented_ones_with_defaults_that_deploy():
    assert {name: p["Default"] for name, p in source()["Parameters"].items()} == {
        "SecretPrefix": "", "KmsKeyArn": "", "UsagePlanId": "", "EventBusName": "default", "EventSource": "", "OutcomeBusName": "",
        "MarketplaceTopicArn": "", "MarketplaceEvents": "false", "CreateKeyRate": 2, "AlarmTopicArn": "", "Architecture": "arm64",
        "LogLevel": "INFO", "LogRetentionDays": 30, "EventSchemas": "false",
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
    """As CloudFormation judges a parameter: a pattern is for the whole of it."""
    parameter = source()["Parameters"][name]
    if "AllowedPattern" in parameter:
        return re.fullmatch(parameter["AllowedPattern"], value) is not None
    if "AllowedValues" in parameter:
        return value in map(str, parameter["AllowedValues"])
    return parameter["MinValue"] <= float(value) <= parameter["MaxValue"]


@pytest.mark.parametrize("name, good, bad", [
    ("SecretPrefix", ["", "apikeys/", "a+=.@-_/Z9"], ["a b", "a*", "a?", "ä/", "a" * 441]),
    ("KmsKeyArn", ["", EVERYTHING["KmsKeyArn"], f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/mrk-1234"],
     ["alias/mine", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:key/x"]),
    ("UsagePlanId", ["", "a1b2c3"], ["a b", "a/b", "*"]),
    ("EventBusName", ["default", "sign-ups"], ["", "aws.partner/example.com/acct", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", "a b"]),
    ("EventSource", ["", "com.example.signup", "createkey.signup", "awsome"], ["createkey", "aws.s3", "a b"]),
    ("OutcomeBusName", ["", "default", "outcomes"], [f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", "*"]),
    ("MarketplaceTopicArn", ["", EVERYTHING["MarketplaceTopicArn"]], ["my-topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:a.fifo", "arn:aws:sqs:us-east-1:1:q"]),
    ("MarketplaceEvents", ["true", "false"], ["", "yes", "True"]),
    ("CreateKeyRate", ["0.5", "2", "2.5"], ["0", "-1", "2.6", "5"]),
    ("AlarmTopicArn", ["", EVERYTHING["AlarmTopicArn"]], ["on-call"]),
    ("EventSchemas", ["true", "false"], ["", "yes"]),
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
    assert DEFAULT.outputs["DashboardUrl"]["Value"].endswith("#dashboards/dashboard/" + DEFAULT.name("Dashboard"))


# ---- Queues -----------------------------------------------------------------------

QUEUES = ["RequestQueue", "DeadLetterQueue", "RuleDeadLetterQueue"]


@BOTH
def test_queues(stack):
    assert sorted(stack.of_type("AWS::SQS::Queue")) == sorted(QUEUES)
    for name in QUEUES:
        assert stack.resources[name]["DeletionPolicy"] == stack.resources[name]["UpdateReplacePolicy"] == "Retain"
        assert stack.properties(name)["SqsManagedSseEnabled"] is True
        assert "FifoQueue" not in stack.properties(name)
    request = stack.properties("RequestQueue")
    assert request["VisibilityTimeout"] == 6 * stack.properties("CreateKeyFunction")["Timeout"]
    assert request["MessageRetentionPeriod"] == 4 * 24 * 3600
    assert request["RedrivePolicy"] == {"deadLetterTargetArn": stack.arn("DeadLetterQueue"), "maxReceiveCount": 5}
    assert stack.properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert stack.properties("DeadLetterQueue")["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue", "sourceQueueArns": [stack.arn("RequestQueue")]}
    assert stack.properties("RuleDeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_queue_that_was_kept_does_not_block_a_new_stack_of_the_same_name():
    assert re.fullmatch(r"createkey-requests-[0-9a-f-]{36}", DEFAULT.name("RequestQueue"))
    assert "QueueName" not in DEFAULT.properties("DeadLetterQueue") | DEFAULT.properties("RuleDeadLetterQueue")


@BOTH
def test_queue_policies(stack):
    rules = [stack.arn(name) for name in sorted(stack.of_type("AWS::Events::Rule"), reverse=True)]
    policies = {p["Queues"][0]: p["PolicyDocument"]["Statement"] for p in stack.of_type("AWS::SQS::QueuePolicy").values()}
    assert set(policies) == {stack.name(name) for name in QUEUES}
    for name in QUEUES:
        deny, *allow = policies[stack.name(name)]
        assert deny == {"Sid": "OnlyOverTls", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": stack.arn(name),
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        want = {}
        if name == "RequestQueue":
            want["events.amazonaws.com"] = {"ArnEquals": {"aws:SourceArn": rules}}
        if name == "RequestQueue" and stack is FULL:
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
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": 2},
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
    assert rule["EventPattern"] == {"source": [{"anything-but": "createkey"}], "detail-type": ["API Key Requested"]}
    assert DEFAULT.resources["RequestRule"]["DependsOn"] == "RuleDeadLetterQueuePolicy", "what the other queue refuses ends there"
    assert FULL.properties("RequestRule")["EventBusName"] == "signups"
    assert FULL.properties("RequestRule")["EventPattern"] == {"source": ["com.example.signup"], "detail-type": ["API Key Requested"]}


def test_marketplace_is_off_until_it_is_switched_on():
    assert not DEFAULT.of_type("AWS::SNS::Subscription")
    (subscription,) = FULL.of_type("AWS::SNS::Subscription").values()
    assert subscription == {
        "TopicArn": EVERYTHING["MarketplaceTopicArn"], "Region": "us-west-2", "Protocol": "sqs", "Endpoint": FULL.arn("RequestQueue"),
        "FilterPolicyScope": "MessageBody", "FilterPolicy": {"action": ["subscribe-success"]},
    }
    rule = FULL.properties("MarketplaceRule")
    assert "EventBusName" not in rule, "AWS's own events come on the default bus"
    assert rule["EventPattern"] == {"source": ["aws.agreement-marketplace"], "detail-type": ["License Updated - Manufacturer"]}
    assert FULL.resources["MarketplaceRule"]["DependsOn"] == ["RequestQueuePolicy", "RuleDeadLetterQueuePolicy"], "which expect it"
    assert FULL.resources["MarketplaceSubscription"]["DependsOn"] == "RequestQueuePolicy"
    assert [(t["Arn"], t["DeadLetterConfig"]["Arn"]) for t in rule["Targets"]] == [(FULL.arn("RequestQueue"), FULL.arn("RuleDeadLetterQueue"))]
    only_topic, only_events = (Stack(**{name: EVERYTHING[name]}) for name in ("MarketplaceTopicArn", "MarketplaceEvents"))
    assert "MarketplaceSubscription" in only_topic.resources and "MarketplaceRule" not in only_topic.resources
    assert "MarketplaceRule" in only_events.resources and "MarketplaceSubscription" not in only_events.resources
    for stack in (only_topic, only_events):
        assert "FindUsagePlanOfProduct" in {s["Sid"] for s in role(stack)["Statement"]}


# ---- The function -----------------------------------------------------------------


@BOTH
def test_function(stack):
    function = stack.properties("CreateKeyFunction")
    assert (function["Handler"], function["Runtime"], function["Architectures"]) == ("bootstrap", "provided.al2023", ["arm64"])
    assert function["LoggingConfig"] == {
        "LogGroup": stack.name("CreateKeyLogGroup"), "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    assert stack.properties("CreateKeyLogGroup") == {"RetentionInDays": "30"}
    assert source()["Resources"]["CreateKeyFunction"]["Metadata"]["BuildMethod"] == "makefile"
    assert source()["Resources"]["CreateKeyFunction"]["Properties"]["CodeUri"] == "."


def test_environment():
    def variables(stack):
        return stack.properties("CreateKeyFunction")["Environment"]["Variables"]

    assert variables(DEFAULT) == {
        "SECRET_PREFIX": "createkey/", "KMS_KEY_ID": "", "USAGE_PLAN_ID": "", "OUTCOME_BUS": "", "CREATE_KEY_RATE": "2",
        "LOG_LEVEL": "INFO", "AWS_ENDPOINT_URL": "",
    }
    assert variables(FULL) == variables(DEFAULT) | {
        "KMS_KEY_ID": EVERYTHING["KmsKeyArn"], "USAGE_PLAN_ID": "gold01", "OUTCOME_BUS": "outcomes"}
    assert variables(Stack(SecretPrefix="customers/"))["SECRET_PREFIX"] == "customers/"
    debug = Stack(LogLevel="DEBUG").properties("CreateKeyFunction")
    assert debug["Environment"]["Variables"]["LOG_LEVEL"] == debug["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"


# ---- Permissions ------------------------------------------------------------------


def role(stack):
    (policy,) = stack.properties("CreateKeyRole")["Policies"]
    return policy["PolicyDocument"]


# What the executable cannot be seen to call: who does instead.
NOT_THE_EXECUTABLES = {
    "Log": "Lambda writes the log as the role",
    "Poll": "the event source mapping polls as the role",
    "EncryptValue": "Secrets Manager calls KMS for the role: GenerateDataKey to write, Decrypt to read and to write again",
}


# What TestExecutable recorded: the calls that the executable made, one of each
# kind, and all that it wrote.
EXECUTABLE = Path(os.environ["CREATEKEY_EXECUTABLE"])


def recorded():
    return json.loads((EXECUTABLE / "calls.json").read_text())


def test_the_role_allows_each_call_that_the_executable_makes():
    missing = [(call["operation"], p) for call in recorded() for p in iam.needed_by(call, FULL) if not iam.allows(role(FULL), p)]
    assert missing == []


def test_the_role_allows_nothing_that_no_call_needs():
    needed = [p for call in recorded() for p in iam.needed_by(call, FULL)]
    idle = [(s["Sid"], s["Action"], s["Resource"]) for s in iam.statements(role(FULL))
            if s["Sid"] not in NOT_THE_EXECUTABLES and not any(iam.allowed_by(s, p) for p in needed)]
    assert idle == []


def test_no_two_statements_of_the_role_allow_the_same():
    needed = [p for call in recorded() for p in iam.needed_by(call, FULL)]
    for permission in needed:
        allowing = [s["Sid"] for s in iam.statements(role(FULL)) if iam.allowed_by(s, permission)]
        assert len(allowing) == 1, (permission, allowing)


@BOTH
def test_the_role_is_written_out_and_narrow(stack):
    properties = stack.properties("CreateKeyRole")
    assert list(stack.of_type("AWS::IAM::Role")) == ["CreateKeyRole"], "SAM generates none"
    assert "ManagedPolicyArns" not in properties
    assert properties["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    for statement in iam.statements(role(stack)):
        assert statement["Effect"] == "Allow"
        assert re.fullmatch(r"[a-z]+:[A-Za-z]+", statement["Action"]), "no wildcard in an action"
        service, region = statement["Resource"].split(":")[2:4]
        assert (service, region) == (statement["Action"].split(":")[0], REGION), "the resource is one of the action's service"
    assert "logs:CreateLogGroup" not in {s["Action"] for s in iam.statements(role(stack))}


def test_the_roles_optional_parts():
    optional = {"EncryptValue", "FindUsagePlanOfProduct", "TellOutcome"}
    assert {s["Sid"] for s in role(FULL)["Statement"]} - {s["Sid"] for s in role(DEFAULT)["Statement"]} == optional
    by_sid = {s["Sid"]: s for s in role(FULL)["Statement"]}
    assert by_sid["EncryptValue"]["Condition"] == {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    assert by_sid["TellOutcome"]["Condition"] == {"StringEquals": {"events:source": "createkey"}}
    assert by_sid["TellOutcome"]["Resource"].endswith(":event-bus/outcomes")
    secrets = by_sid["StoreValue"]["Resource"]
    assert secrets == f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:createkey/*"
    prefixed = {s["Sid"]: s for s in role(Stack(SecretPrefix="customers/"))["Statement"]}
    assert prefixed["StoreValue"]["Resource"] == f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:customers/*"


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
    assert iam.allows(DEFAULT.properties("SenderPolicy")["PolicyDocument"], event("default", "anybody"))
    assert not iam.allows(FULL.properties("SenderPolicy")["PolicyDocument"], event("signups", "anybody"))


@BOTH
def test_reader_policy(stack):
    policy = stack.properties("ReaderPolicy")["PolicyDocument"]
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
    assert iam.allows(policy, iam.Permission("secretsmanager:GetSecretValue", secret + "createkey/cust-1/Gold-AbCdEf"))
    for refused in ("secretsmanager:GetSecretValue", secret + "other/cust-1/Gold-AbCdEf"), ("secretsmanager:PutSecretValue", secret + "createkey/x-AbCdEf"):
        assert not iam.allows(policy, iam.Permission(*refused))
    decrypt = iam.Permission("kms:Decrypt", EVERYTHING["KmsKeyArn"], {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"})
    assert iam.allows(policy, decrypt) == (stack is FULL)
    assert not iam.allows(policy, iam.Permission("kms:Decrypt", EVERYTHING["KmsKeyArn"], {}))


# ---- Alarms, dashboard, queries -----------------------------------------------------

ALARMS = {
    "DeadLetterAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0, 1),
    "RuleDeadLetterAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0, 1),
    "OldestMessageAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", 15 * 60, 3),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", 0, 1),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", 0, 1),
    "RuleFailedAlarm": ("AWS/Events", "FailedInvocations", 0, 1),
    "RuleLostAlarm": ("AWS/Events", "InvocationsFailedToBeSentToDlq", 0, 1),
    "MarketplaceRuleFailedAlarm": ("AWS/Events", "FailedInvocations", 0, 1),
    "MarketplaceRuleLostAlarm": ("AWS/Events", "InvocationsFailedToBeSentToDlq", 0, 1),
    "KeyQuotaAlarm": ("createkey/createkey", "KeyQuotaRefused", 0, 1),
    "UnfinishedAlarm": ("createkey/createkey", "Unfinished", 0, 1),
}


@BOTH
def test_alarms(stack):
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert set(alarms) == {name for name in ALARMS if stack is FULL or not name.startswith("Marketplace")}
    for name, alarm in alarms.items():
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ALARMS[name], name
        assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
        told = [EVERYTHING["AlarmTopicArn"]] if stack is FULL else []
        assert alarm["AlarmActions"] == alarm["OKActions"] == told


def test_alarm_dimensions():
    def dimensions(stack, alarm):
        return {d["Name"]: d["Value"] for d in stack.properties(alarm).get("Dimensions", [])}

    assert dimensions(DEFAULT, "DeadLetterAlarm") == {"QueueName": DEFAULT.name("DeadLetterQueue")}
    assert dimensions(DEFAULT, "RuleDeadLetterAlarm") == {"QueueName": DEFAULT.name("RuleDeadLetterQueue")}
    assert dimensions(DEFAULT, "OldestMessageAlarm") == {"QueueName": DEFAULT.name("RequestQueue")}
    assert dimensions(DEFAULT, "ErrorsAlarm") == dimensions(DEFAULT, "ThrottlesAlarm") == {"FunctionName": DEFAULT.name("CreateKeyFunction")}
    # On a custom bus, metrics have the bus for a dimension, too.
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
    """The metrics that count a log line with these members."""
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


def test_metric_filters_tell_the_outcomes_apart():
    for outcome in ("created", "existing", "rejected", "retried"):
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
            if path[0] == "...":  # all but what follows is as in the line before
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


def test_the_schema_registry_is_what_make_schemas_wrote():
    kinds = ("AWS::EventSchemas::Registry", "AWS::EventSchemas::Schema")
    assert not [r for r in DEFAULT.resources.values() if r["Type"] in kinds]
    files = {f.stem: json.loads(f.read_text()) for f in (ROOT / "events" / "schema" / "registry").glob("*.json")}
    schemas = FULL.of_type("AWS::EventSchemas::Schema").values()
    assert {s["SchemaName"]: json.loads(s["Content"]) for s in schemas} == files
    assert {(s["Type"], s["RegistryName"]) for s in schemas} == {("OpenApi3", FULL.name("SchemaRegistry"))}
