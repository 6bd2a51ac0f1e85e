"""template.yaml as CloudFormation sees it: transformed by SAM, with its conditions
evaluated and its references replaced by plausible values.
"""

import os
import re
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

ROOT = Path(__file__).parents[3]
REGION, ACCOUNT, STACK = "us-east-1", "123456789012", "createkey"
STACK_GUID = "51af3dc0-da77-11e4-872e-1234567db123"
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/{STACK_GUID}",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()

# The part of GetAtt Arn after the partition, by type.
ARNS = {
    "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
    "AWS::IAM::ManagedPolicy": "iam::{account}:policy/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
}


class _NoManagedPolicies:
    """SAM would look up managed policies in IAM; the template names none."""

    def load(self):
        return {}


def source():
    """Returns template.yaml as written."""
    return yaml_parse((ROOT / "template.yaml").read_text())


def transformed():
    """Returns the CloudFormation template that SAM makes from template.yaml."""
    os.environ["AWS_DEFAULT_REGION"] = REGION  # SAM needs one
    template = source()
    # `sam package` replaces the path by the uploaded executable's location.
    template["Resources"]["CreateKeyFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, _NoManagedPolicies())


class Stack:
    """The template with parameters: a dict of the resources that would exist,
    with every value that CloudFormation would pass on. `where` overrides pseudo
    parameters, for another partition or Region."""

    def __init__(self, where=None, **parameters):
        self.template = transformed()
        self.pseudo = PSEUDO_PARAMETERS | (where or {})
        defaults = {name: p["Default"] for name, p in self.template["Parameters"].items()}
        assert set(parameters) <= set(defaults), "no such parameter"
        self.parameters = {name: str(value) for name, value in (defaults | parameters).items()}
        self.resources = {
            name: self._resolve(resource)
            for name, resource in self.template["Resources"].items()
            if self._holds(resource.get("Condition"))
        }
        self.outputs = self._resolve(self.template["Outputs"])

    def of_type(self, kind):
        return {name: r["Properties"] for name, r in self.resources.items() if r["Type"] == kind}

    def properties(self, name):
        return self.resources[name]["Properties"]

    def name(self, logical_id):
        """Returns the physical name of a resource, or a plausible one."""
        resource = self.template["Resources"][logical_id]
        for member in ("QueueName", "Name", "DashboardName"):
            if member in resource.get("Properties", {}):
                return self._resolve(resource["Properties"][member])
        return f"{STACK}-{logical_id}-AAAAAAAAAAAA"

    def arn(self, logical_id):
        resource, name = self.template["Resources"][logical_id], self.name(logical_id)
        if resource["Type"] == "AWS::Events::Rule" and (bus := self._resolve(resource["Properties"].get("EventBusName", "default"))) != "default":
            name = f"{bus}/{name}"
        return f"arn:{self.pseudo['AWS::Partition']}:" + ARNS[resource["Type"]].format(
            region=self.pseudo["AWS::Region"], account=self.pseudo["AWS::AccountId"], name=name)

    def _holds(self, condition):
        return condition is None or self._resolve(self.template["Conditions"][condition])

    def _resolve(self, node):
        if isinstance(node, list):
            return [value for value in map(self._resolve, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Condition" and isinstance(argument, str):
                return self._holds(argument)
            if function.startswith("Fn::"):
                return getattr(self, "_" + function[4:].lower())(argument)
        values = {key: self._resolve(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def _ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            value = self.parameters[name]
            # "Each member string is space trimmed":
            # docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
            is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return [part.strip() for part in value.split(",")] if is_list else value
        if self.template["Resources"][name]["Type"] == "AWS::IAM::ManagedPolicy":
            return self.arn(name)
        return self.name(name)

    def _getatt(self, argument):
        name, attribute = argument if isinstance(argument, list) else argument.split(".")
        return {"Arn": self.arn, "QueueName": self.name}[attribute](name)

    def _sub(self, argument):
        text, variables = argument if isinstance(argument, list) else (argument, {})
        values = self._resolve(variables)

        def value(match):
            name = match[1]
            if name in values:
                return values[name]
            return self._getatt(name) if "." in name else self._ref(name)

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", value, text)

    def _if(self, argument):
        condition, then, otherwise = argument
        return self._resolve(then if self._holds(condition) else otherwise)

    def _equals(self, argument):
        return self._resolve(argument[0]) == self._resolve(argument[1])

    def _join(self, argument):
        return argument[0].join(self._resolve(argument[1]))

    def _not(self, argument):
        return not self._resolve(argument[0])

    def _select(self, argument):
        return self._resolve(argument[1])[int(argument[0])]

    def _split(self, argument):
        return self._resolve(argument[1]).split(argument[0])

    def _findinmap(self, argument):
        mapping, first, second = argument
        return self.template["Mappings"][mapping][self._resolve(first)][second]
