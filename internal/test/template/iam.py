"""The IAM permissions that AWS calls need, and whether a policy grants them."""

import re
from dataclasses import dataclass, field

from cfn import ACCOUNT, REGION


@dataclass(frozen=True)
class Permission:
    action: str
    resource: str
    context: dict = field(default_factory=dict, hash=False, compare=False)


def needed_by(call, stack):
    """Returns the permissions that a call needs, which internal/test/awslocal recorded.

    https://docs.aws.amazon.com/service-authorization/latest/reference/ has a table for
    each service. API Gateway's management API uses the HTTP method as the action and
    the path as the resource; creating a key with tags also needs permission to tag it.
    """
    if call["service"] == "apigateway":
        base = f"arn:aws:apigateway:{REGION}::"
        # The function changes only keys that it made, which have its tag.
        tags = {"aws:ResourceTag/createkey:secret": "dev/cust-1/Gold"} if call["method"] == "PATCH" else {}
        permissions = [Permission("apigateway:" + call["method"], base + call["path"], tags)]
        if call["tagged"]:
            permissions.append(Permission("apigateway:PUT", base + f"/tags/arn%3Aaws%3Aapigateway%3A{REGION}%3A%3A%2Fapikeys%2Fa1b2c3"))
        return permissions
    if call["service"] == "secretsmanager":
        # Secrets Manager appends a hyphen and six characters to the ARN.
        prefix = stack.properties("CreateKeyFunction")["Environment"]["Variables"]["SECRET_PREFIX"]
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{prefix}cust-1/Gold-AbCdEf"
        permissions = [Permission("secretsmanager:" + call["operation"], secret)]
        if call["tagged"]:
            permissions.append(Permission("secretsmanager:TagResource", secret))
        return permissions
    if call["service"] == "sqs":
        # The action of the single call allows SendMessageBatch as well.
        return [Permission("sqs:" + call["operation"].removesuffix("Batch"), stack.arn("DeadLetterQueue"))]
    if call["service"] == "events":
        bus = stack.properties("CreateKeyFunction")["Environment"]["Variables"]["OUTCOME_BUS"]
        return [Permission("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}", {"events:source": "createkey"})]
    raise AssertionError(f"no permissions are known for {call['service']}")


def statements(policy):
    """Yields one statement for each action and resource of a policy."""
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
    raise AssertionError(f"{operator} is not supported here")


def matches(pattern, text):
    """Matches as IAM does: * and ? also match slashes."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None


def as_list(value):
    return value if isinstance(value, list) else [value]
