"""What AWS calls need of IAM, and whether a policy gives it."""

import re
from dataclasses import dataclass, field

from cfn import ACCOUNT, REGION


@dataclass(frozen=True)
class Permission:
    action: str
    resource: str
    context: dict = field(default_factory=dict, hash=False, compare=False)


def needed_by(call, stack):
    """The permissions that a call needs, as internal/test/awslocal recorded it.

    https://docs.aws.amazon.com/service-authorization/latest/reference/ has a table
    a service. API Gateway's management API has the HTTP method for an action and
    the path for a resource; a key created with tags needs to be tagged, too.
    """
    if call["service"] == "apigateway":
        base = f"arn:aws:apigateway:{REGION}::"
        # The function changes keys that it made, and no other: they bear its tag.
        tags = {"aws:ResourceTag/createkey:secret": "dev/cust-1/Gold"} if call["method"] == "PATCH" else {}
        permissions = [Permission("apigateway:" + call["method"], base + call["path"], tags)]
        if call["tagged"]:
            permissions.append(Permission("apigateway:PUT", base + f"/tags/arn%3Aaws%3Aapigateway%3A{REGION}%3A%3A%2Fapikeys%2Fa1b2c3"))
        return permissions
    if call["service"] == "secretsmanager":
        # The ARN ends in a hyphen and six characters of Secrets Manager's.
        prefix = stack.properties("CreateKeyFunction")["Environment"]["Variables"]["SECRET_PREFIX"]
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{prefix}cust-1/Gold-AbCdEf"
        permissions = [Permission("secretsmanager:" + call["operation"], secret)]
        if call["tagged"]:
            permissions.append(Permission("secretsmanager:TagResource", secret))
        return permissions
    if call["service"] == "sqs":
        # SendMessageBatch, too, is allowed by the action of the single call.
        return [Permission("sqs:" + call["operation"].removesuffix("Batch"), stack.arn("DeadLetterQueue"))]
    if call["service"] == "events":
        bus = stack.properties("CreateKeyFunction")["Environment"]["Variables"]["OUTCOME_BUS"]
        return [Permission("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}", {"events:source": "createkey"})]
    raise AssertionError(f"what {call['service']} needs is not in this table")


def statements(policy):
    """One statement for each action and resource of a policy's."""
    for statement in policy["Statement"]:
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                yield statement | {"Action": action, "Resource": resource}


def allows(policy, permission):
    return any(allowed_by(statement, permission) for statement in statements(policy) if statement["Effect"] == "Allow")


def allowed_by(statement, permission):
    return (
        matches(statement["Action"].lower(), permission.action.lower())
        and matches(statement["Resource"], permission.resource)
        and all(holds(operator, key, values, permission.context)
                for operator, keys in statement.get("Condition", {}).items() for key, values in keys.items())
    )


def holds(operator, key, values, context):
    given = context.get(key)
    if operator == "StringEquals":
        return given in as_list(values)
    if operator == "StringNotEquals":
        return given not in as_list(values)
    if operator == "Null":
        return (given is None) == (values == "true")
    raise AssertionError(f"{operator} is not known here")


def matches(pattern, text):
    """IAM's * and ?, which are blind to slashes."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None


def as_list(value):
    return value if isinstance(value, list) else [value]
