"""Tests the template, deployed to MiniStack with `sam deploy` and used as its users
do: `make test-stack`.

MiniStack enforces the role's policy on the function, and policies on users. What it
does not enforce, test_template.py checks.
"""

import json
import time
import tomllib

import pytest
from botocore.exceptions import ClientError

import logfilter
from application import STACK, customers
from iam import as_list
from stack import EVENT_BUS, OUTCOME_BUS, RESOURCE_TAGS, ROOT, SAM, wait_for

# ---- Deployment -----------------------------------------------------------------------


@pytest.mark.parametrize("parameter, value, wanted", [
    ("KmsKeyArn", "alias/mine", "must be empty or the ARN of a KMS key"),
    ("AlarmTopicArn", "on-call", "must be empty or the ARN of a standard SNS topic"),
    ("MarketplaceTopicArn", "arn:aws:sqs:us-east-1:000000000000:queue", "must be empty or the ARN of a standard SNS topic"),
    ("LogLevel", "WARN", "LogLevel"),
    ("CreateKeyRate", "0", "must be a number from 0.5 to 2.5"),
    ("SecretPrefix", "customers", "that end in a slash"),
    ("EventSource", "crm,createkey", "none of them createkey or aws.*"),
    ("ResourceTags", "team", "must be empty or at most 10 tags, 2800 characters in all, in the form Key=Value,Key=Value"),
    ("PermissionsBoundary", "developer", "must be empty or the ARN of a managed policy"),
    ("OutcomeBusName", "arn:aws:events:us-east-1:000000000000:event-bus/outcomes", "must be empty or the name of an event bus"),
])
def test_a_bad_parameter_stops_the_deployment_and_says_what_is_wanted(cloud, parameter, value, wanted):
    output = cloud.deploy("bad", check=False, **{parameter: value})
    assert "Error" in output and wanted in output.replace("\n", " "), output
    assert "bad" not in {s["StackName"] for s in cloud.client("cloudformation").list_stacks()["StackSummaries"]}


def test_the_defaults_deploy(cloud):
    cloud.deploy("plain")
    queue = cloud.outputs("plain")["QueueUrl"]
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody='{"customerId": "cust-0", "name": "Plain"}')
    wait_for(lambda: [k for k in cloud.client("apigateway").get_api_keys()["items"] if k["name"] == "Plain"], "the key")
    cloud.delete("plain")


def test_an_outcome_bus_that_does_not_exist_fails_the_deployment(cloud):
    # As an update, because MiniStack's CloudFormation checks a rule's bus only then.
    cloud.deploy("busless", OutcomeBusName=OUTCOME_BUS)
    output = cloud.deploy("busless", check=False, OutcomeBusName="nowhere")
    assert "failed to" in output and "[OutcomeRule]" in output, output
    cloud.delete("busless")


def test_the_environments_of_samconfig_deploy_beside_each_other(cloud):
    """Each has samconfig.toml's parameters. An event with dev's source goes to dev."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    stacks = {name: config[name]["global"]["parameters"]["stack_name"] for name in ("dev", "prod")}
    for name, stack in stacks.items():
        overrides = config[name]["deploy"]["parameters"]["parameter_overrides"].split()
        # Production has to name its sources if dev is in the same account.
        cloud.deploy(stack, **dict(o.split("=", 1) for o in overrides) | ({"EventSource": "crm,signup"} if name == "prod" else {}))
    try:
        for source, stack in (("dev", stacks["dev"]), ("crm", stacks["prod"]), ("signup", stacks["prod"])):
            customer = next(customers)
            put(cloud, {"customerId": customer, "name": "Gold"}, source, bus="default")
            secrets = wait_for(lambda name=f"/{customer}/Gold": [
                s["Name"] for s in cloud.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"] if s["Name"].endswith(name)], "the secret")
            assert secrets == [f"{stack}/{customer}/Gold"]
    finally:
        for stack in stacks.values():
            cloud.delete(stack)


DEVELOPER = {"Version": "2012-10-17", "Statement": [
    {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"},
    {"Sid": "NoSecretWithoutCostCentre", "Effect": "Deny", "Action": "secretsmanager:CreateSecret", "Resource": "*",
     "Condition": {"Null": {"aws:RequestTag/CostCentre": "true"}}},
]}


@pytest.fixture
def boundary(cloud):
    """A typical permissions boundary: no secret may be made without its tag."""
    arn = cloud.client("iam").create_policy(PolicyName="developer", PolicyDocument=json.dumps(DEVELOPER))["Policy"]["Arn"]
    yield arn
    cloud.delete("bounded")
    cloud.client("iam").delete_policy(PolicyArn=arn)


def test_a_boundary_that_asks_for_tags_denies_until_there_are_some(cloud, boundary):
    iam, functions = cloud.client("iam"), cloud.client("lambda")

    def deploy(**parameters):
        cloud.deploy("bounded", PermissionsBoundary=boundary, **parameters)
        # MiniStack's IAM enforces boundaries, but its CloudFormation does not set a role's.
        iam.put_role_permissions_boundary(RoleName=cloud.resource("bounded", "CreateKeyRole"), PermissionsBoundary=boundary)

    deploy()
    function = cloud.outputs("bounded")["FunctionName"]

    def invoke(customer):
        answer = functions.invoke(FunctionName=function, Payload=json.dumps({"customerId": customer, "name": "Gold"}))
        return json.loads(answer["Payload"].read())

    refused = invoke(next(customers))
    assert refused["errorType"] == "RetryableError"
    assert refused["errorMessage"].startswith("CreateSecret") and "AccessDenied" in refused["errorMessage"]

    deploy(ResourceTags=RESOURCE_TAGS)
    made = invoke(next(customers))
    assert made["status"] == "created"
    secret = cloud.client("secretsmanager").describe_secret(SecretId=made["secretArn"])
    want = {"CostCentre": "42", "team": "billing"}
    assert {t["Key"]: t["Value"] for t in secret["Tags"]} == want
    assert want.items() <= made["tags"].items()

    # A boundary that denies what the role allows.
    cloud.write_policy(boundary, DEVELOPER | {"Statement": DEVELOPER["Statement"] + [
        {"Sid": "NoKeys", "Effect": "Deny", "Action": "apigateway:POST", "Resource": "*"}]})
    refused = invoke(next(customers))
    assert refused["errorMessage"].startswith("CreateApiKey") and "AccessDenied" in refused["errorMessage"]


def test_the_function_gets_what_the_parameters_and_the_queues_say(app):
    function = app.cloud.client("lambda").get_function_configuration(FunctionName=app.outputs["FunctionName"])
    variables = function["Environment"]["Variables"]
    assert variables["DEAD_LETTER_QUEUE_URL"] == app.dead_letters
    assert variables["RESOURCE_TAGS"] == RESOURCE_TAGS
    (mapping,) = app.cloud.client("lambda").list_event_source_mappings(FunctionName=app.outputs["FunctionName"])["EventSourceMappings"]
    assert mapping["State"] == "Enabled"


def test_the_rules_alarms_watch_the_rules(app):
    events, alarms = app.cloud.client("events"), app.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (request,), (marketplace,) = (
        [r["Name"] for r in events.list_rules(EventBusName=bus)["Rules"] if "queue" in r.get("Description", "")] for bus in (EVENT_BUS, "default"))
    for name, want in (("RuleFailed", {"EventBusName": EVENT_BUS, "RuleName": request}), ("MarketplaceRuleFailed", {"RuleName": marketplace})):
        (alarm,) = [a for a in alarms if f"{STACK}-{name}Alarm" in a["AlarmName"]]
        assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == want


# ---- Senders --------------------------------------------------------------------------


def test_sqs(app):
    customer = next(customers)
    message = app.send({"customerId": customer, "name": "Gold", "enabled": True})
    assert app.line(messageId=message)["outcome"] == "created"
    app.want_key(customer, "Gold")


def test_the_same_request_twice_is_one_key(app):
    customer = next(customers)
    request = {"customerId": customer, "name": "Gold"}
    app.line(messageId=app.send(request), outcome="created")
    app.line(messageId=app.send(request), outcome="existing")
    app.want_key(customer, "Gold")


def test_a_bad_message_leaves_its_batch_alone_and_ends_in_the_dead_letter_queue(app):
    good, bad = next(customers), next(customers)
    entries = [{"Id": "1", "MessageBody": json.dumps({"customerId": good, "name": "Gold"})},
               {"Id": "2", "MessageBody": json.dumps({"customerId": bad, "name": "Gold", "enabled": "true"})}]
    sent = app.sqs.send_message_batch(QueueUrl=app.queue, Entries=entries)["Successful"]
    by_id = {s["Id"]: s["MessageId"] for s in sent}
    app.line(messageId=by_id["1"], outcome="created")
    assert app.line(messageId=by_id["2"], outcome="rejected")["reason"] == "enabled: must be a boolean, not a string: write true or false, without quotes"
    letter = app.letter(by_id["2"])
    assert json.loads(letter["Body"])["customerId"] == bad
    app.drop(by_id["2"])
    app.want_key(good, "Gold")


def test_a_rejected_message_is_set_aside_at_its_first_receive(app):
    customer = next(customers)
    body = json.dumps({"customerId": customer, "name": "Gold", "enabled": "true"})
    message = app.sqs.send_message(QueueUrl=app.queue, MessageBody=body, MessageAttributes={
        "tenant": {"DataType": "String", "StringValue": "acme"}})["MessageId"]
    letter = app.letter(message)
    app.sqs.delete_message(QueueUrl=app.dead_letters, ReceiptHandle=letter["ReceiptHandle"])
    assert letter["Body"] == body
    assert {name: a["StringValue"] for name, a in letter["MessageAttributes"].items()} == {
        "tenant": "acme", "reason": "enabled: must be a boolean, not a string: write true or false, without quotes", "messageId": message, "customerId": customer,
        "secretName": f"{STACK}/{customer}/Gold"}
    time.sleep(3)  # long enough for a redelivery
    assert len(app.lines(messageId=message, outcome="rejected")) == 1


def test_what_fails_heals_by_itself_however_often_it_failed(app):
    policy = app.policy()
    try:
        app.allow(without(policy, "StoreValue", "secretsmanager:CreateSecret"))
        customer = next(customers)
        message = app.send({"customerId": customer, "name": "Gold"})
        wait_for(lambda: len(app.lines(messageId=message, outcome="retried")) > 5, "more failures than five receives would allow")
    finally:
        app.allow(policy)
    app.line(messageId=message, outcome="created")
    app.want_key(customer, "Gold")


def test_redrive_from_the_dead_letter_queue(app):
    customer = next(customers)
    taken = app.secrets.create_secret(Name=f"{STACK}/{customer}/Gold", SecretString="somebody else's")
    message = app.send({"customerId": customer, "name": "Gold"})
    assert "was not made by createkey" in app.line(messageId=message, outcome="rejected")["reason"]
    letter = app.letter(message)
    app.secrets.delete_secret(SecretId=taken["ARN"], ForceDeleteWithoutRecovery=True)
    # As StartMessageMoveTask does on AWS: a new message with the old body.
    again = app.send(letter["Body"])
    app.drop(message)
    app.line(messageId=again, outcome="created")
    app.want_key(customer, "Gold")


def test_eventbridge(app):
    customer = next(customers)
    put(app.cloud, {"customerId": customer, "name": "Gold"}, source="com.example.signup")
    app.line(customerId=customer, outcome="created")
    app.want_key(customer, "Gold")


@pytest.fixture
def unhurried(app):
    """No redelivery while a message is handled: MiniStack accepts a second key with the same value."""
    app.sqs.set_queue_attributes(QueueUrl=app.queue, Attributes={"VisibilityTimeout": "30"})
    yield app
    app.hasten()


def test_a_life_through_queue_and_bus(unhurried):
    app, customer = unhurried, next(customers)

    def enabled():
        return [k["enabled"] for k in app.all_keys() if k.get("customerId") == customer]

    for detail_type, minute, outcome, keys in (
        ("API Key Requested", 1, "created", 1), ("API Key Rotation Requested", 2, "rotated", 2),
        ("API Key End Requested", 3, "ended", 0), ("API Key Requested", 1, "ended", 0), ("API Key Requested", 4, "created", 1),
    ):
        assert app.line(messageId=app.send(ask(customer, detail_type, minute)))["outcome"] == outcome
        assert enabled().count(True) == keys
    put(app.cloud, {"customerId": customer, "name": "Gold"}, source="com.example.signup", detail_type="API Key End Requested")
    wait_for(lambda: enabled().count(True) == 0, "the end from the bus")


def put(cloud, detail, source, detail_type="API Key Requested", bus=EVENT_BUS):
    answer = cloud.client("events").put_events(Entries=[
        {"EventBusName": bus, "Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}])
    assert answer["FailedEntryCount"] == 0


def test_events_of_other_types_and_our_own_do_not_reach_the_queue(app):
    others = [next(customers), next(customers)]
    put(app.cloud, {"customerId": others[0], "name": "Gold"}, source="com.example.signup", detail_type="Order Placed")
    put(app.cloud, {"customerId": others[1], "name": "Gold"}, source="createkey")
    customer = next(customers)
    put(app.cloud, {"customerId": customer, "name": "Gold"}, source="com.example.signup")
    app.line(customerId=customer, outcome="created")
    assert not [line for line in app.lines() if line["customerId"] in others]


def test_a_topic_that_the_queue_does_not_know_is_refused(app):
    sns = app.cloud.client("sns")
    foreign = sns.create_topic(Name="foreign")["TopicArn"]
    sns.subscribe(TopicArn=foreign, Protocol="sqs", Endpoint=app.outputs["QueueArn"])
    refused, allowed = next(customers), next(customers)
    sns.publish(TopicArn=foreign, Message=json.dumps({"customerId": refused, "name": "Gold"}))
    app.line(messageId=app.send({"customerId": allowed, "name": "Gold"}))
    assert not app.lines(customerId=refused)


def test_marketplace_subscription(app):
    customer = next(customers)
    code, plan = product(app)
    notification = {"action": "subscribe-success", "customer-identifier": customer, "product-code": code,
                    "offer-identifier": "offer-abcexample123", "isFreeTrialTermPresent": "false"}
    sns = app.cloud.client("sns")
    sns.publish(TopicArn=app.topic, Message=json.dumps(notification | {"action": "unsubscribe-pending"}))
    sns.publish(TopicArn=app.topic, Message=json.dumps(notification))
    message = app.line(customerId=customer, outcome="created")["messageId"]
    record = app.want_key(customer, code, plans=[plan])
    assert record["enabled"]
    ready = hear(app, message)["detail"]
    assert (ready["id"], ready["usagePlanIds"], ready["status"]) == (record["id"], [plan], "created")
    assert len(app.lines(customerId=customer)) == 1, "the filter keeps other actions off the queue"


def product(app):
    """Returns a product code, and a usage plan with that code."""
    code = f"{next(customers)}example"
    plan = app.keys.create_usage_plan(name=code)["id"]
    app.keys.update_usage_plan(usagePlanId=plan, patchOperations=[{"op": "replace", "path": "/productCode", "value": code}])
    restart(app)  # an environment caches the plans for a minute
    return code, plan


def restart(app):
    """Makes the next message start a new environment."""
    app.cloud.client("lambda").update_function_configuration(FunctionName=app.outputs["FunctionName"], MemorySize=256)


def test_marketplace_agreement(app):
    code, plan = product(app)
    detail = {"requestId": "r-1", "catalog": "AWSMarketplace", "agreement": {"id": "agmt-1example"}, "product": {"code": code, "id": "prod-1example"},
              "license": {"arn": "arn:aws:license-manager::294406891311:license:l-1example"}, "acceptor": {"accountId": "444455556666"},
              "proposer": {"accountId": "111122223333"}, "offer": {"id": "offer-1example"}}
    event = {"version": "0", "id": "9b1f9a3c-3f1d-4a6a-8f0e-1f2e3d4c5b6a", "source": "aws.agreement-marketplace", "account": "111122223333",
             "detail-type": "License Updated - Manufacturer", "time": "2026-07-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": detail}
    # Only AWS may send AWS's events: the rule is tested with TestEventPattern, and
    # the event is put on the queue directly.
    events = app.cloud.client("events")
    (rule,) = [r for r in events.list_rules()["Rules"] if "agreement" in r["EventPattern"]]
    assert events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))["Result"]
    other = event | {"detail-type": "Purchase Agreement Created - Manufacturer"}
    assert not events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(other))["Result"]

    line = app.line(messageId=app.send(event), outcome="created")
    key = app.keys.get_api_key(apiKey=line["keyId"])
    assert (key["customerId"], key["name"], key["enabled"]) == ("444455556666", code, True)
    assert app.plans_of(line["keyId"]) == {plan}
    assert app.line(messageId=app.send(event | {"id": "another"}))["outcome"] == "existing"

    end = event | {"id": "the end", "detail-type": "License Deprovisioned - Manufacturer", "time": "2026-07-02T00:00:00Z"}
    assert events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(end))["Result"]
    assert app.line(messageId=app.send(end))["outcome"] == "ended"


# ---- Listeners ------------------------------------------------------------------------


def hear(app, message):
    """Waits for the outcome event of a message."""
    def look():
        for letter in app.sqs.receive_message(QueueUrl=app.heard, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(letter["Body"])
            app.sqs.delete_message(QueueUrl=app.heard, ReceiptHandle=letter["ReceiptHandle"])
            if event["detail"]["messageId"] == message:
                return event
        return None
    return wait_for(look, f"the outcome of {message}")


def test_outcome_events(app):
    customer = next(customers)
    request = {"customerId": customer, "name": "Gold", "enabled": True}
    ready = hear(app, app.send(request))
    assert (ready["source"], ready["detail-type"]) == ("createkey", "API Key Ready")
    record = app.want_key(customer, "Gold")
    detail = ready["detail"]
    assert "value" not in detail
    assert (detail["id"], detail["secretName"], detail["status"]) == (record["id"], f"{STACK}/{customer}/Gold", "created")
    # The event alone is enough to find the value.
    assert app.secrets.get_secret_value(SecretId=detail["secretArn"])["Name"] == detail["secretName"]

    bad = app.send(request | {"description": "Another one"})
    rejected = hear(app, bad)
    assert rejected["detail-type"] == "API Key Rejected"
    assert rejected["detail"]["reasons"] == [f"request: key {record['id']} exists already for this customerId and name, and differs in description: a request changes no key; change it in API Gateway, or end it first"]
    app.drop(bad)


# ---- Least privilege ------------------------------------------------------------------


def creation(app):
    plan = app.keys.create_usage_plan(name=f"Plan {time.time()}")["id"]  # one that no environment has cached
    return app.send({"customerId": next(customers), "name": "Gold", "usagePlanIds": [plan]})


def repeat(app):
    request = {"customerId": next(customers), "name": "Gold"}
    app.line(messageId=app.send(request), outcome="created")
    return lambda: app.send(request)


def sign_up(app):
    code, _ = product(app)
    customer = next(customers)
    app.cloud.client("sns").publish(TopicArn=app.topic, Message=json.dumps(
        {"action": "subscribe-success", "customer-identifier": customer, "product-code": code}))
    return wait_for(lambda: app.lines(customerId=customer), "the sign-up")[-1]["messageId"]


def ask(customer, detail_type, minute):
    """Returns an event for a customer's key, as on the queue."""
    return {"id": f"{customer}-{minute}", "source": "com.example.signup", "detail-type": detail_type, "time": f"2026-11-27T12:{minute:02}:00Z",
            "detail": {"customerId": customer, "name": "Gold"} | ({"enabled": True} if detail_type == "API Key Requested" else {})}


def end(app):
    customer = next(customers)
    app.line(messageId=app.send(ask(customer, "API Key Requested", 1)), outcome="created")
    return lambda: app.send(ask(customer, "API Key End Requested", 2))


# The scenario that fails without an action, and the call that needs it. Some first send
# a message that does not need it.
SCENARIOS = {
    ("CreateApiKey", "apigateway:POST"): (creation, "CreateApiKey"),
    ("FindApiKey", "apigateway:GET"): (repeat, "GetApiKey"),
    ("AttachToUsagePlan", "apigateway:POST"): (creation, "CreateUsagePlanKey"),
    ("CheckUsagePlan", "apigateway:GET"): (creation, "GetUsagePlan"),
    ("FindUsagePlans", "apigateway:GET"): (sign_up, "GetUsagePlans"),
    ("DisableApiKey", "apigateway:PATCH"): (end, "UpdateApiKey"),
    ("StoreValue", "secretsmanager:CreateSecret"): (creation, "CreateSecret"),
    ("StoreValue", "secretsmanager:GetSecretValue"): (repeat, "GetSecretValue"),
    ("StoreValue", "secretsmanager:PutSecretValue"): (creation, "PutSecretValue"),
    ("TellOutcome", "events:PutEvents"): (creation, "PutEvents"),
}
# Actions that MiniStack does not enforce; test_template.py checks them instead.
UNNOTICED = {
    ("TagApiKey", "apigateway:PUT"): "it does not ask for it when a key is created with tags",
    ("StoreValue", "secretsmanager:TagResource"): "it does not ask for it when a secret is created with tags",
    ("Log", "logs:CreateLogStream"): "it writes the log itself",
    ("Log", "logs:PutLogEvents"): "it writes the log itself",
    ("Poll", "sqs:ReceiveMessage"): "its poller is not held to the role",
    ("Poll", "sqs:DeleteMessage"): "its poller is not held to the role",
    ("Poll", "sqs:GetQueueAttributes"): "its poller is not held to the role",
}


def test_every_action_of_the_role_has_a_scenario_or_a_reason(app):
    actions = {(s["Sid"], a) for s in app.policy()["Statement"] for a in as_list(s["Action"])}
    assert actions == set(SCENARIOS) | set(UNNOTICED) | {SET_ASIDE}


SET_ASIDE = ("SetAside", "sqs:SendMessageBatch")  # MiniStack's name for it: stack.py


def test_a_rejected_message_that_may_not_be_set_aside_comes_again_until_it_may(app):
    policy = app.policy()
    try:
        app.allow(without(policy, *SET_ASIDE))
        message = app.send({"customerId": next(customers), "name": 7})
        wait_for(lambda: len(app.lines(messageId=message, outcome="rejected")) > 1, "the second receive")
    finally:
        app.allow(policy)
    app.drop(message)


@pytest.mark.parametrize("sid, action", SCENARIOS)
def test_without_this_action_a_message_is_refused_and_with_it_again_completes(app, sid, action):
    scenario, call = SCENARIOS[sid, action]
    send = scenario(app) if scenario in (repeat, end) else lambda: scenario(app)
    policy = app.policy()
    try:
        app.allow(without(policy, sid, action))
        message = send()
        refused = app.line(messageId=message, outcome="retried")
    finally:
        app.allow(policy)
    assert refused["reason"].startswith(call) and "AccessDenied" in refused["reason"]
    wait_for(lambda: {line["outcome"] for line in app.lines(messageId=message)} & {"created", "existing", "ended"}, "the message to complete")


def without(policy, sid, action):
    statements = []
    for statement in policy["Statement"]:
        actions = [a for a in as_list(statement["Action"]) if (statement["Sid"], a) != (sid, action)]
        if actions:
            statements.append(statement | {"Action": actions})
    return policy | {"Statement": statements}


@pytest.fixture
def user(app):
    """Returns a function that makes a user with one policy and nothing else."""
    def make(name, policy):
        app.iam.create_user(UserName=name)
        app.iam.attach_user_policy(UserName=name, PolicyArn=policy)
        key = app.iam.create_access_key(UserName=name)["AccessKey"]
        credentials = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        return lambda service: app.cloud.client(service, **credentials)
    return make


def refuses(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return "AccessDenied" in refused.value.response["Error"]["Code"]


def test_a_sender_may_send_and_nothing_else(app, user):
    client = user("sender", app.outputs["SenderPolicyArn"])
    by_queue, by_event = next(customers), next(customers)
    client("sqs").send_message(QueueUrl=app.queue, MessageBody=json.dumps({"customerId": by_queue, "name": "Gold"}))
    client("events").put_events(Entries=[{"EventBusName": EVENT_BUS, "Source": "com.example.signup", "DetailType": "API Key Requested",
                                          "Detail": json.dumps({"customerId": by_event, "name": "Gold"})}])
    for customer in (by_queue, by_event):
        app.line(customerId=customer, outcome="created")
    assert refuses(client("sqs").receive_message, QueueUrl=app.queue)
    assert refuses(client("sqs").send_message, QueueUrl=app.dead_letters, MessageBody="{}")
    assert refuses(client("secretsmanager").get_secret_value, SecretId=f"{STACK}/{by_queue}/Gold")
    assert refuses(client("apigateway").get_api_keys)
    assert refuses(client("lambda").invoke, FunctionName=app.outputs["FunctionName"])


def test_a_reader_may_read_customers_secrets_and_nothing_else(app, user):
    client = user("reader", app.outputs["ReaderPolicyArn"])
    customer = next(customers)
    app.line(messageId=app.send({"customerId": customer, "name": "Gold"}), outcome="created")
    name = f"{STACK}/{customer}/Gold"
    assert client("secretsmanager").get_secret_value(SecretId=name)["Name"] == name
    app.secrets.create_secret(Name="other/secret", SecretString="somebody else's")
    assert refuses(client("secretsmanager").get_secret_value, SecretId="other/secret")
    assert refuses(client("secretsmanager").put_secret_value, SecretId=name, SecretString="x")
    assert refuses(client("secretsmanager").delete_secret, SecretId=name)
    assert refuses(client("sqs").send_message, QueueUrl=app.queue, MessageBody="{}")
    assert refuses(client("apigateway").get_api_keys)


# ---- SAM's own commands, and an operator's ----------------------------------------------


def test_sam_remote_invoke(app):
    output = app.cloud.run(SAM, "remote", "invoke", "--stack-name", STACK, "CreateKeyFunction", "--event-file", "events/direct.json")
    answer = json.loads(output[output.index('{"id"'):])  # after the log
    sent = json.loads((ROOT / "events" / "direct.json").read_text())
    assert (answer["customerId"], answer["status"]) == (sent["customerId"], "created")
    assert "value" not in answer


def test_sam_logs(app):
    customer = next(customers)
    app.line(messageId=app.send({"customerId": customer, "name": "Gold"}))
    output = app.cloud.run(SAM, "logs", "--stack-name", STACK, "--name", "CreateKeyFunction")
    assert f'"customerId": "{customer}"' in output and '"outcome": "created"' in output


def test_sam_list(app):
    outputs = json.loads(app.cloud.run(SAM, "list", "stack-outputs", "--stack-name", STACK, "--output", "json"))
    assert {o["OutputKey"]: o["OutputValue"] for o in outputs} == app.outputs
    resources = app.cloud.run(SAM, "list", "resources", "--stack-name", STACK, "--output", "json")
    assert "CreateKeyFunction" in resources and "RequestQueue" in resources
    assert "CreateKeyFunction" in app.cloud.run(SAM, "list", "endpoints", "--stack-name", STACK, "--output", "json")


def test_each_line_is_counted_by_the_metric_of_its_outcome_and_code(app):
    test_without_this_action_a_message_is_refused_and_with_it_again_completes(app, "StoreValue", "secretsmanager:PutSecretValue")
    request = {"customerId": next(customers), "name": "Gold"}
    app.line(messageId=app.send(request), outcome="created")
    app.line(messageId=app.send(request), outcome="existing")
    app.line(messageId=app.drop(app.send(request | {"name": 7})), outcome="rejected")

    filters = {f["metricTransformations"][0]["metricName"]: f["filterPattern"]
               for f in app.logs.describe_metric_filters(logGroupName=app.outputs["LogGroupName"])["metricFilters"]}
    seen = set()
    for line in app.lines():
        metrics = {metric for metric, pattern in filters.items() if logfilter.matches(pattern, json.dumps(line))}
        assert metrics == {line["outcome"].capitalize()} | ({"Unfinished"} if line.get("code") == "unfinished" else set())
        seen |= metrics
    # MiniStack has no quota of keys, and reports no initialisation.
    assert seen == set(filters) - {"KeyQuotaRefused", "InitDuration"}


def test_no_value_is_in_the_log_or_on_a_queue(app):
    values = [app.keys.get_api_key(apiKey=key["id"], includeValue=True)["value"] for key in app.all_keys()]
    assert values
    events = [e["message"] for page in app.logs.get_paginator("filter_log_events").paginate(logGroupName=app.outputs["LogGroupName"]) for e in page["events"]]
    letters = app.sqs.receive_message(QueueUrl=app.heard, MaxNumberOfMessages=10).get("Messages", [])
    texts = events + [letter["Body"] for letter in letters]
    assert not any(value in text for text in texts for value in values), "a value is in the log or in an event (not shown)"


def test_update_and_delete(app):
    app.cloud.deploy(STACK, LogLevel="DEBUG")
    app.hasten()
    customer = next(customers)
    line = app.line(messageId=app.send({"customerId": customer, "name": "Gold"}), outcome="created")
    assert "CreateApiKey" in {call["operation"] for call in line["calls"]}, "the new log level is not in force"

    app.cloud.delete(STACK)
    with pytest.raises(ClientError):
        app.cloud.outputs(STACK)
    kept = app.sqs.list_queues()["QueueUrls"]
    for queue in (app.queue, app.dead_letters, app.outputs["RuleDeadLetterQueueUrl"]):
        assert queue in kept
    app.want_key(customer, "Gold")  # keys and secrets stay as well

    app.cloud.deploy(STACK)
    assert app.cloud.outputs(STACK)["QueueUrl"] != app.queue, "the new stack took over the kept queue"
