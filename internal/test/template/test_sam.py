"""Tests the function in Docker, as SAM runs it on a developer's machine: `make test-sam`.

Every sample of events/ goes through `sam local invoke`, and `sam local start-lambda`
answers the AWS CLI. The AWS that the function calls is our own local one, which
listens on Docker's bridge.
"""

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager

import boto3
import pytest

import engine
from stack import REGION, ROOT, SAM, architecture, free_port, wait_for

BUILD = ROOT / ".build"
LOCAL = BUILD / "local" / "local"
SAMPLES = [json.loads(line) for line in subprocess.check_output([LOCAL, "samples"], text=True).splitlines()]
FUNCTION, RUNTIME = "CreateKeyFunction", "provided.al2023"


class LocalAWS:
    """A local AWS that contains only usage plans."""

    def __init__(self, endpoint, inside):
        """endpoint is its URL on this machine, inside is its URL in a container."""
        # SAM itself asks it for the account's id: nothing goes to AWS, and the user's settings are not used.
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        }
        # The function's variables; without LOG_LEVEL, SAM would pass this shell's.
        self.variables = {"AWS_ENDPOINT_URL": inside, "LOG_LEVEL": "INFO", "OUTCOME_BUS": "outcomes"}
        client = {"endpoint_url": endpoint, "region_name": REGION, "aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self.keys, self.secrets = boto3.client("apigateway", **client), boto3.client("secretsmanager", **client)

    def recorded(self, printed):
        """Returns the names of the existing keys' secrets by id. Checks that each secret holds the finished record and the
        value, and that the value was not printed."""
        recorded = {}
        for item in self.keys.get_api_keys(limit=500)["items"]:
            key = self.keys.get_api_key(apiKey=item["id"], includeValue=True)
            name = key["tags"]["createkey:secret"]
            record = json.loads(self.secrets.get_secret_value(SecretId=name)["SecretString"])
            # Values are compared, never shown.
            same, shown = record.pop("value", None) == key["value"], key["value"] in printed
            assert not shown, f"the value of {name} was printed"
            if record.get("previous") != key["id"]:  # after a rotation, the record no longer holds its value
                assert same, f"{name} does not hold the key's value"
                assert (record["format"], record["id"]) == ("createkey/1", key["id"])
            recorded[key["id"]] = name
        return recorded


@contextmanager
def local_aws(address, name):
    """Runs our local AWS on an address of this machine that has this name in a container."""
    command = [LOCAL, "serve", "-host", address, "-bootstrap", LOCAL.with_name("bootstrap")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        listens = re.match(r"A local AWS listens on (http://\S+) ", process.stdout.readline())
        assert listens, "the local AWS did not start"
        yield LocalAWS(listens[1], listens[1].replace(address, name))
    finally:
        process.terminate()
        process.wait()


class Sam:
    """The SAM CLI, the user's own if there is one, and the function that it built for this machine."""

    def __init__(self):
        own = shutil.which("sam")
        works = own and subprocess.run([own, "--version"], capture_output=True, check=False).returncode == 0
        self.cli = own if works else SAM
        engine.say(subprocess.check_output([self.cli, "--version"], text=True).strip())
        goarch, self.architecture = architecture()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "SAM_CLI_TELEMETRY": "0", "GOARCH": goarch,  # SAM does not tell make
        }
        self.folder = BUILD / "sam-local"
        self.parameters = ["--parameter-overrides", f"Architecture={self.architecture}"]
        done = subprocess.run([self.cli, "build", "--build-dir", self.folder, *self.parameters], cwd=ROOT, env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        status = done.returncode
        assert status == 0, done.stdout

    def local(self, command, aws, *arguments):
        """Returns the arguments of subprocess for a `sam local` command."""
        variables = self.folder / "variables.json"
        variables.write_text(json.dumps({FUNCTION: aws.variables}))
        return {
            "args": [self.cli, "local", command, *arguments, "--template", self.folder / "template.yaml", "--env-vars", variables,
                     "--skip-pull-image", *self.parameters],
            "cwd": ROOT, "env": self.environment | aws.environment, "text": True,
        }

    def invoke(self, payload, aws):
        """Runs `sam local invoke`, and returns the answer and the rest of the output."""
        command = self.local("invoke", aws, FUNCTION, "--event", "-")
        done = subprocess.run(**command, input=payload, capture_output=True, check=False)
        status = done.returncode  # SAM's own: a function's error is only in the answer
        assert status == 0, done.stderr
        return answer_of(done.stdout), done.stderr

    @contextmanager
    def start_lambda(self, aws):
        """Runs `sam local start-lambda` with a warm container, and yields its URL and its log file."""
        port, log = free_port(), self.folder / "start-lambda.log"
        with open(log, "w") as output:
            process = subprocess.Popen(
                **self.local("start-lambda", aws, "--port", str(port), "--warm-containers", "EAGER"), stdout=output, stderr=output)
        try:
            wait_for(lambda: process.poll() is not None or "Running on" in log.read_text(), "start-lambda to start", seconds=60)
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.terminate()
            process.wait()


def answer_of(text):
    """Parses the function's answer. Fails if it has a value, without showing it."""
    has_value = '"value"' in text
    assert not has_value, "the answer has a value (not shown)"
    return json.loads(text)


def lines_of(log):
    """Returns the function's log lines in SAM's output."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if "outcome" in line]


@pytest.fixture(scope="module")
def docker():
    with engine.running() as client:
        yield client


@pytest.fixture(scope="module")
def sam(docker):
    sam = Sam()
    with engine.image(docker, RUNTIME, sam.architecture):
        yield sam
    left = docker.containers.list(all=True, filters={"volume": str(sam.folder / FUNCTION)})
    for container in left:
        container.remove(force=True)
    assert not left, "SAM left containers behind"


@pytest.fixture(scope="module")
def new_aws(docker):
    address, name = engine.host(docker)
    return lambda: local_aws(address, name)


@pytest.mark.parametrize("sample", SAMPLES, ids=[s["file"] for s in SAMPLES])
def test_sam_local_invoke(sam, new_aws, sample):
    # SAM sometimes misses output while it attaches to a container
    # (github.com/aws/aws-sam-cli/issues/4239): try again from the start.
    for _ in range(5):
        with new_aws() as aws:
            answer, printed = sam.invoke(sample["payload"], aws)
            lines, recorded = lines_of(printed), aws.recorded(printed)
        if len(lines) == len(sample["outcomes"]):
            break
    assert sorted(line["outcome"] for line in lines) == sorted(sample["outcomes"]), answer
    assert {line["keyId"]: line["secretName"] for line in lines if line["outcome"] in ("created", "rotated")} == recorded
    if messages := batch(json.loads(sample["payload"])):
        failed = [m for m, outcome in zip(messages, sample["outcomes"], strict=True) if outcome in ("rejected", "retried")]
        assert answer == {"batchItemFailures": [{"itemIdentifier": m} for m in failed]}
    else:
        documents = answer if isinstance(answer, list) else [answer]
        assert {d["id"]: d["secretName"] for d in documents if d["status"] == "created"} == recorded


def batch(payload):
    """Returns the message ids of a batch from SQS or a pipe; none for any other payload."""
    records = payload if isinstance(payload, list) else payload.get("Records", [])
    return [r["messageId"] for r in records if r.get("eventSource") == "aws:sqs"]


def test_sam_local_start_lambda(sam, new_aws, tmp_path):
    """A warm container answers the AWS CLI, and reports a function's error as Lambda does."""
    request = json.loads((ROOT / "events" / "direct.json").read_text())
    with new_aws() as aws, sam.start_lambda(aws) as (url, log):
        def invoke(payload):
            (tmp_path / "payload.json").write_text(json.dumps(payload))
            command = [f"{os.environ['AWS_CLI']}/aws", "lambda", "invoke", "--endpoint-url", url, "--function-name", FUNCTION,
                       "--payload", f"fileb://{tmp_path}/payload.json", tmp_path / "answer.json"]
            done = subprocess.run(command, env=sam.environment | aws.environment, capture_output=True, text=True, check=False)
            status = done.returncode
            assert status == 0, done.stderr
            return answer_of((tmp_path / "answer.json").read_text()), json.loads(done.stdout).get("FunctionError")

        answer, error = invoke(request)
        assert (answer["status"], error) == ("created", None)
        assert invoke(request) == (answer | {"status": "existing"}, None)

        rejected, error = invoke(request | {"enabled": "true"})
        assert error == "Unhandled"
        assert rejected == {"errorType": "RejectedError", "errorMessage": "enabled: must be a boolean, not a string: write true or false, without quotes"}
        assert aws.recorded(log.read_text()) == {answer["id"]: answer["secretName"]}
