"""The deployed stack from its users' side: senders, readers, operators."""

import itertools
import json

from stack import wait_for

STACK = "createkey"
customers = (f"cust-{n}" for n in itertools.count(1))


class Application:
    """A deployed stack, with clients for what its users see."""

    def __init__(self, cloud, plan):
        self.cloud, self.plan = cloud, plan
        self.outputs = cloud.outputs(STACK)
        self.sqs, self.logs, self.iam = cloud.client("sqs"), cloud.client("logs"), cloud.client("iam")
        self.keys, self.secrets = cloud.client("apigateway"), cloud.client("secretsmanager")
        self.queue, self.dead_letters = self.outputs["QueueUrl"], self.outputs["DeadLetterQueueUrl"]
        self.hasten()

    def hasten(self):
        """Makes failed messages come again after a second instead of three minutes."""
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"VisibilityTimeout": "1"})

    def send(self, body):
        body = body if isinstance(body, str) else json.dumps(body)
        return self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)["MessageId"]

    def lines(self, **members):
        """Returns the function's log lines with these members."""
        events = []
        for page in self.logs.get_paginator("filter_log_events").paginate(logGroupName=self.outputs["LogGroupName"]):
            events += [e["message"] for e in page["events"] if e["message"].startswith("{")]
        lines = [line for line in map(json.loads, events) if "outcome" in line]
        return [line for line in lines if members.items() <= line.items()]

    def line(self, **members):
        return wait_for(lambda: self.lines(**members), f"a log line with {members}")[-1]

    def want_key(self, customer, name, plans=None):
        """Checks that a customer has one key, in these plans and recorded in a secret. Returns the record without its value."""
        keys = [k for k in self.all_keys() if (k.get("customerId"), k.get("name")) == (customer, name)]
        assert len(keys) == 1
        secret = self.secrets.get_secret_value(SecretId=f"{STACK}/{customer}/{name}")
        record = json.loads(secret["SecretString"])
        # Values are compared, never shown.
        same = record.pop("value") == self.keys.get_api_key(apiKey=keys[0]["id"], includeValue=True)["value"]
        assert same, "the secret does not hold the key's value"
        assert (record["format"], record["id"]) == ("createkey/1", keys[0]["id"])
        plans = [self.plan] if plans is None else plans
        assert record["usagePlanIds"] == plans
        assert self.plans_of(keys[0]["id"]) == set(plans)
        return record

    def plans_of(self, key):
        plans = [p["id"] for page in self.keys.get_paginator("get_usage_plans").paginate() for p in page["items"]]
        keys_of = self.keys.get_paginator("get_usage_plan_keys").paginate
        return {p for p in plans if key in [k["id"] for page in keys_of(usagePlanId=p) for k in page["items"]]}

    def all_keys(self):
        return [k for page in self.keys.get_paginator("get_api_keys").paginate() for k in page["items"]]

    def policy(self):
        arn = self.cloud.resource(STACK, "CreateKeyPolicy")
        return self.iam.get_policy_version(PolicyArn=arn, VersionId=self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"])[
            "PolicyVersion"]["Document"]

    def allow(self, policy):
        self.cloud.write_policy(self.cloud.resource(STACK, "CreateKeyPolicy"), policy)

    def letter(self, message):
        """Waits for this message of the request queue in the dead-letter queue: SQS's redrive keeps its id,
        and a message that the function set aside has it in an attribute."""
        def look():
            for letter in self.sqs.receive_message(QueueUrl=self.dead_letters, WaitTimeSeconds=1, VisibilityTimeout=0, MaxNumberOfMessages=10,
                                                   MessageAttributeNames=["All"]).get("Messages", []):
                if message in (letter["MessageId"], letter.get("MessageAttributes", {}).get("messageId", {}).get("StringValue")):
                    return letter
            return None
        return wait_for(look, f"the dead letter of {message}")

    def drop(self, message):
        """Waits for a rejected message in the dead-letter queue, deletes it there, and returns its id."""
        self.sqs.delete_message(QueueUrl=self.dead_letters, ReceiptHandle=self.letter(message)["ReceiptHandle"])
        return message
