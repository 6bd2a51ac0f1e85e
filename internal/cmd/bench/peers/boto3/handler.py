"""The Python peer of createkey: the plainest function on boto3 that makes the same
three AWS calls for a request, in the plainest runtime. It checks nothing and is not
exactly-once: never deploy it."""

import http.client
import json
import os
import secrets

import boto3

keys = boto3.client("apigateway")
store = boto3.client("secretsmanager")


def make_key(request):
    name = f"apikeys/{request['customerId']}/{request['name']}"
    value = secrets.token_hex(20)
    store.create_secret(Name=name, SecretString=json.dumps({"value": value}))
    key = keys.create_api_key(
        name=request["name"], customerId=request["customerId"], enabled=request["enabled"], value=value
    )
    store.put_secret_value(SecretId=name, SecretString=json.dumps({"id": key["id"], "value": value}))


def main():
    """Serves the Runtime API, as AWS's own Python runtime does."""
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    invocation = "/2018-06-01/runtime/invocation/"
    while True:
        runtime.request("GET", invocation + "next")
        response = runtime.getresponse()
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        for message in json.loads(response.read())["Records"]:
            make_key(json.loads(message["body"]))
        runtime.request("POST", invocation + request_id + "/response", b"null")
        runtime.getresponse().read()


main()
