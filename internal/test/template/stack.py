"""The application on MiniStack, a third-party local AWS that enforces IAM.

    python stack.py up     deploys the stack and keeps it running
    python stack.py down   stops it

MiniStack is served over TLS, as AWS is: the queues' policies refuse anything else.
Where it departs from AWS, docs/design.md says how.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import trustme
import urllib3
from botocore.config import Config
from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = Path(__file__).parents[3]
REGION, ACCOUNT = "us-east-1", "000000000000"
BUCKET, OUTCOME_BUS, EVENT_BUS = "createkey-deployments", "outcomes", "signups"
RESOURCE_TAGS = "CostCentre=42,team=billing"
SAM = shutil.which("sam", path=str(Path(sys.executable).parent))


class MiniStack:
    """A MiniStack on a loopback port. Its folder holds its certificate, its log
    and the build; its environment is for clients with the account's root user."""

    def __init__(self, folder, port=None):
        self.folder = Path(folder)
        self.port = port or free_port()
        self.endpoint = f"https://127.0.0.1:{self.port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_CA_BUNDLE": str(self.folder / "ca.pem"),
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        }

    def start(self):
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        ca = trustme.CA()
        certificate = ca.issue_cert("127.0.0.1")
        ca.cert_pem.write_to_path(self.folder / "ca.pem")
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        for i, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(self.folder / "cert.pem", append=i > 0)
        environment = os.environ | self.environment | {
            "AUTH": "true", "LAMBDA_EXECUTOR": "local", "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port), "TMPDIR": str(self.folder / "tmp"), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
            "USE_SSL": "1", "MINISTACK_SSL_CERT": str(self.folder / "cert.pem"), "MINISTACK_SSL_KEY": str(self.folder / "key.pem"),
            "SSL_CERT_FILE": str(self.folder / "ca.pem"),  # the function inherits it: Go's root certificates
        }
        with open(self.folder / "ministack.log", "wb") as log:
            self.process = subprocess.Popen([os.environ["MINISTACK"]], env=environment, stdout=log, stderr=log, start_new_session=True)
        http = urllib3.PoolManager(ca_certs=str(self.folder / "ca.pem"), retries=False)
        wait_for(lambda: self.process.poll() is not None or answers(http, self.endpoint + "/_ministack/health"), "MiniStack to start", seconds=60)
        if self.process.poll() is not None:
            raise AssertionError("MiniStack did not start:\n" + (self.folder / "ministack.log").read_text())

    def stop(self):
        stop(self.process.pid)
        self.process.wait()

    def client(self, service, **options):
        """Returns a boto3 client, with the account's root user unless credentials are given."""
        return boto3.client(
            service, region_name=REGION, endpoint_url=self.endpoint, verify=str(self.folder / "ca.pem"),
            **{"aws_access_key_id": "test", "aws_secret_access_key": "test", "config": Config(retries={"max_attempts": 1})} | options)

    def run(self, *command, check=True):
        """Runs a user's command against MiniStack, and returns its output."""
        environment = os.environ | self.environment | {"SAM_CLI_TELEMETRY": "0", "NO_COLOR": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}")
        return done.stdout

    def build(self):
        """Runs `sam build` for this machine, and removes what MiniStack does not support from the built template."""
        goarch, self.architecture = architecture()
        # SAM does not tell make.
        self.run("env", f"GOARCH={goarch}", SAM, "build", "--build-dir", str(self.folder / "build"), "--parameter-overrides", f"Architecture={self.architecture}")
        built = yaml_parse((self.folder / "build" / "template.yaml").read_text())
        (self.folder / "build" / "template.yaml").write_text(yaml_dump(without_unsupported_parts(built)))

    def deploy(self, stack, check=True, **parameters):
        """Runs `sam deploy`."""
        overrides = [f"{name}={value}" for name, value in ({"Architecture": self.architecture} | parameters).items()]
        return self.run(
            SAM, "deploy", "--template-file", str(self.folder / "build" / "template.yaml"), "--stack-name", stack,
            "--s3-bucket", BUCKET, "--s3-prefix", stack, "--capabilities", "CAPABILITY_IAM", "--no-progressbar",
            "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--parameter-overrides", *overrides, check=check)

    def resource(self, stack, logical_id):
        """Returns the physical id of a stack's resource."""
        return self.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)["StackResourceDetail"]["PhysicalResourceId"]

    def delete(self, stack):
        self.run(SAM, "delete", "--stack-name", stack, "--no-prompts", "--region", REGION)

    def write_policy(self, arn, document):
        """Replaces a managed policy. IAM keeps only five versions, so older ones are deleted."""
        iam = self.client("iam")
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])

    def outputs(self, stack):
        (description,) = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {o["OutputKey"]: o["OutputValue"] for o in description["Outputs"]}


def without_unsupported_parts(template):
    """Removes saved log queries, because MiniStack refuses a template with that type, and the
    condition keys of PutEvents and of a key's tags, which it takes as absent. And it asks for
    sqs:SendMessageBatch, an action that AWS does not have, where AWS asks for
    sqs:SendMessage. test_template.py checks all three."""
    template["Resources"] = {n: r for n, r in template["Resources"].items() if r["Type"] != "AWS::Logs::QueryDefinition"}
    # It evaluates no Join in a condition. The first source tells, too, where no comma is too many.
    template["Conditions"]["HasEventSource"] = {"Fn::Not": [{"Fn::Equals": [{"Fn::Select": [0, {"Ref": "EventSource"}]}, ""]}]}
    for resource in template["Resources"].values():
        if resource["Type"] not in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            continue
        properties = resource["Properties"]
        for policy in properties.get("Policies", [properties]):
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                statement = statement["Fn::If"][1] if "Fn::If" in statement else statement
                if statement["Action"] in ("events:PutEvents", "apigateway:PATCH"):
                    del statement["Condition"]
                if statement.get("Sid") == "SetAside":
                    statement["Action"] = "sqs:SendMessageBatch"
    return template


def architecture():
    """Returns this machine's architecture, as Go and as the template call it."""
    goarch = subprocess.check_output(["go", "env", "GOHOSTARCH"], cwd=ROOT, text=True).strip()
    return goarch, {"amd64": "x86_64"}.get(goarch, goarch)


def wait_for(condition, what, seconds=30):
    """Waits until the condition is true, and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.1)
    return value


def answers(http, url):
    try:
        return http.request("GET", url).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stop(pid):
    """Kills a MiniStack and the environments of its functions. A graceful stop would
    wait half a minute for clients to disconnect."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


LOCAL = ROOT / ".build" / "local-stack"
ENV = LOCAL / "env"


def up():
    if local_pid():
        sys.exit(f"The local stack is up already: `. {ENV.relative_to(ROOT)}` to use it, `make local-stack-down` to end it.")
    ministack = MiniStack(LOCAL, port=int(os.environ.get("PORT", "4566")))
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if s.connect_ex(("127.0.0.1", ministack.port)) == 0:
            sys.exit(f"Port {ministack.port} is taken: PORT=4567 make local-stack")
    ministack.start()
    (LOCAL / "pid").write_text(str(ministack.process.pid))
    print("MiniStack listens on", ministack.endpoint, "- building and deploying the stack createkey.", flush=True)
    ministack.client("s3").create_bucket(Bucket=BUCKET)
    ministack.client("events").create_event_bus(Name=OUTCOME_BUS)
    ministack.build()
    ministack.deploy("createkey")
    outputs = ministack.outputs("createkey")
    # An AWS CLI that is older than AWS_ENDPOINT_URL would go to AWS itself, and version 1 needs the endpoint spelled out for SQS.
    aws = LOCAL / "bin" / "aws"
    aws.parent.mkdir(exist_ok=True)
    aws.write_text(f'#!/bin/sh\nexec "{os.environ["AWS_CLI"]}/aws" --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n')
    aws.chmod(0o755)
    path = f"{aws.parent}:{Path(sys.executable).parent}:$PATH"
    exports = ministack.environment | outputs | {"SECRET_PREFIX": "createkey/", "SAM_CLI_TELEMETRY": "0", "PATH": path}
    ENV.write_text("".join(f'export {name}="{value}"\n' for name, value in exports.items()))
    print(TRY.format(env=ENV.relative_to(ROOT)))


TRY = """
The stack is up. In this folder, and once more in each further terminal:

  . {env}   # endpoint, credentials, the stack's outputs, an AWS and a SAM CLI

  # make a usage plan, and send a request for a key in it
  PLAN_ID=$(aws apigateway create-usage-plan --name Gold --query id --output text)
  aws sqs send-message --queue-url "$QueueUrl" \\
      --message-body '{{"customerId": "cust-1", "name": "Gold", "enabled": true, "usagePlanIds": ["'$PLAN_ID'"]}}'

  # or as an event
  aws events put-events --entries '[{{"Source": "signup", "DetailType": "API Key Requested",
      "Detail": "{{\\"customerId\\": \\"cust-2\\", \\"name\\": \\"Gold\\", \\"enabled\\": true, \\"usagePlanIds\\": [\\"'$PLAN_ID'\\"]}}"}}]'

  # watch the log: a line for each message, with the reason where it was rejected
  sam logs --stack-name createkey --name CreateKeyFunction --tail

  # why was this message rejected? By its id, or a customer's
  aws logs filter-log-events --log-group-name "$LogGroupName" --query "events[?contains(message, 'ID')].message" --output text

  # read the secret of cust-1's key "Gold"
  aws secretsmanager get-secret-value --secret-id createkey/cust-1/Gold --query SecretString --output text

  # rotate cust-2's key, end it, and bring the customer back with another key: as events, each a second later than the one before
  aws events put-events --entries '[{{"Source": "signup", "DetailType": "API Key Rotation Requested", "Detail": "{{\\"customerId\\": \\"cust-2\\", \\"name\\": \\"Gold\\"}}"}}]'
  aws events put-events --entries '[{{"Source": "signup", "DetailType": "API Key End Requested", "Detail": "{{\\"customerId\\": \\"cust-2\\", \\"name\\": \\"Gold\\"}}"}}]'
  (then cust-2's first event, API Key Requested, again)

  # list the keys (MiniStack would show their values, too)
  aws apigateway get-api-keys --query 'items[].[id, customerId, name, enabled]' --output text

  # invoke the function without the queue
  sam remote invoke --stack-name createkey CreateKeyFunction --event-file events/direct.json

docs/operations.md can be tried here, too. MiniStack is not AWS (docs/design.md, "The stack", has all departures):

  - it ignores the log's filter patterns: instead of the runbook's `lines` use the command above
  - it enables every key, whatever the request says, and one that was disabled later neither the function
    nor `make audit` and `make adopt` can read: try those before you end a key. A repeat of a revoked key's
    request is retried here, where AWS lets it be rejected
  - it lists every usage plan for every key: a rotation puts the new key into all of them
  - a key that `make adopt` has tagged does not show its tags: adopted again, it is adopted again
  - it makes a second key of the same value
  - it has no StartMessageMoveTask, and takes no saved log queries: `sam deploy` of the template as it is would fail

`make local-stack-down` ends it, and all that it holds is gone."""


def local_pid():
    """Returns the process id of the local stack if it is up: after a reboot, another process may have its id."""
    try:
        pid = int((LOCAL / "pid").read_text())
    except FileNotFoundError:
        return None
    command = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return pid if "ministack" in command else None


def down():
    pid = local_pid()
    if not pid:
        shutil.rmtree(LOCAL, ignore_errors=True)
        sys.exit("No local stack is up.")
    stop(pid)
    shutil.rmtree(LOCAL)
    print("The local stack is gone.")


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
