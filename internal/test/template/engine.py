"""Docker for `sam local`, and the image in which it runs the function.

The user's own Docker if it runs, otherwise one that is started here and ended; AWS's
own image if it is here or can be pulled, otherwise a stand-in. docs/design.md says why.
"""

import contextlib
import io
import ipaddress
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import certifi
import docker
import pytest
from samcli.local.docker.lambda_image import RAPID_IMAGE_TAG_PREFIX, LambdaImage, Runtime

from stack import wait_for


@contextlib.contextmanager
def running():
    """Yields a Docker client. Ends the test run, saying why, if there is no Docker."""
    if client := connect() or installed():
        say(f"Docker {client.version()['Version']}, which runs here")
        yield client
        return
    with started() as client:
        say(f"Docker {client.version()['Version']}, started for this")
        yield client


def connect():
    """Returns a client of the Docker that SAM finds, at DOCKER_HOST or in the usual place, or None if it does not answer."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException:
        return None
    return client


def installed():
    """Installs Docker if it is missing. Returns a client if the package has started it, as with systemd, otherwise None."""
    if "DOCKER_HOST" in os.environ:
        give_up(f"Docker does not answer at DOCKER_HOST={os.environ['DOCKER_HOST']}.")
    if os.geteuid() != 0:
        give_up("Docker does not answer here, and only root may install and start it. Start it, or join the group docker.")
    if shutil.which("dockerd") and shutil.which("ip"):
        return None
    if not shutil.which("apt-get"):
        give_up("Docker is not installed, and there is no apt-get to install Debian's packages docker.io and iproute2 with.")
    say("Docker is missing: installing Debian's docker.io")
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "docker.io", "iproute2"]):
        done = run("apt-get", "--quiet", *command)
        if done.returncode != 0:
            give_up(f"apt-get {command[0]} failed:\n{done.stdout}")
    return connect()


BRIDGE = "docker0"


@contextlib.contextmanager
def started():
    """Runs our own dockerd, which nobody else can reach and which keeps nothing."""
    bridge_was_here = Path("/sys/class/net", BRIDGE).exists()
    # Not pytest's folder: a socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="createkey-") as folder:
        os.environ["DOCKER_HOST"] = f"unix://{folder}/socket"  # where SAM finds it
        # No firewall rules and no routing: a container only talks to this machine,
        # and they would be left behind.
        command = ["dockerd", "--host", os.environ["DOCKER_HOST"], "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile",
                   f"{folder}/pid", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
        with open(f"{folder}/log", "w+b") as log:
            # In its own session, so that Ctrl-C first ends what runs in Docker.
            dockerd = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(lambda: dockerd.poll() is not None or connect(), "Docker to start", seconds=60)
            if dockerd.poll() is not None:
                give_up("dockerd did not start:\n" + "".join(Path(folder, "log").read_text().splitlines(keepends=True)[-10:]))
            yield connect()
        finally:
            del os.environ["DOCKER_HOST"]
            dockerd.terminate()
            dockerd.wait()
            if not bridge_was_here and Path("/sys/class/net", BRIDGE).exists():
                run("ip", "link", "delete", BRIDGE)


def host(client):
    """Returns the address on which containers reach this machine, and its name in a container."""
    config = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # Docker 20.10 omits the gateway, which is the first address, until the bridge is used.
    bridge = config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    with socket.socket() as s:
        try:
            s.bind((bridge, 0))
        except OSError:  # Docker Desktop: the bridge is in a virtual machine
            return "127.0.0.1", "host.docker.internal"
    return bridge, bridge


@contextlib.contextmanager
def image(client, runtime, architecture):
    """Provides the image that SAM needs for a runtime. A stand-in is removed in the end, with what SAM built on it."""
    base = f"{LambdaImage._INVOKE_REPO_PREFIX}/{Runtime.get_image_name_tag(runtime, architecture)}"
    rapid = base.replace(f"-{architecture}", f"-{RAPID_IMAGE_TAG_PREFIX}-{architecture}")  # the base and AWS's emulator
    remove_stand_ins(client, rapid, base)  # left by a run that was killed
    if has(client, rapid) or has(client, base):
        say("AWS's own image, which is here")
        yield
        return
    try:
        client.images.pull(base)
    except docker.errors.APIError as unreachable:
        say(f"a stand-in for AWS's image, which cannot be pulled ({unreachable.explanation})")
    else:
        say("AWS's own image, pulled")
        yield
        return
    repository, tag = base.rsplit(":", 1)
    client.api.import_image_from_data(stand_in(), repository=repository, tag=tag, changes=[f"LABEL {STAND_IN}=true"])
    try:
        yield
    finally:
        remove_stand_ins(client, rapid, base)


STAND_IN = "createkey.stand-in"


def remove_stand_ins(client, *names):
    for name in names:
        if (found := has(client, name)) and STAND_IN in found.labels:
            client.images.remove(name, force=True)


def has(client, name):
    try:
        return client.images.get(name)
    except docker.errors.ImageNotFound:
        return None


def stand_in():
    """Returns, as a tar file, all that SAM and the function need from AWS's image: Lambda's folders, a shell, mv and chmod
    to install the emulator, and root certificates."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        def add(name, kind, mode=0o755, data=b"", link=""):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.size, member.linkname = kind, mode, len(data), link
            tar.addfile(member, io.BytesIO(data))

        for folder in ("bin", "etc", "etc/ssl", "etc/ssl/certs", "opt", "var", "var/runtime", "var/task"):
            add(folder, tarfile.DIRTYPE)
        add("tmp", tarfile.DIRTYPE, mode=0o1777)
        add("etc/ssl/certs/ca-certificates.crt", tarfile.REGTYPE, mode=0o644, data=Path(certifi.where()).read_bytes())
        add("bin/busybox", tarfile.REGTYPE, data=busybox())
        for command in ("sh", "mv", "chmod"):
            add(f"bin/{command}", tarfile.SYMTYPE, link="busybox")
    return content.getvalue()


def busybox():
    """Returns the executable from Debian's package busybox-static, without installing the package."""
    if not shutil.which("apt-get"):
        give_up("A stand-in for AWS's image needs Debian's package busybox-static, and there is no apt-get.")
    with tempfile.TemporaryDirectory() as folder:
        done = run("apt-get", "--quiet", "download", "busybox-static", cwd=folder)
        if done.returncode != 0 and os.geteuid() == 0:  # a new machine has no package lists
            run("apt-get", "--quiet", "update")
            done = run("apt-get", "--quiet", "download", "busybox-static", cwd=folder)
        if done.returncode != 0:
            give_up(f"A stand-in for AWS's image needs Debian's package busybox-static, which cannot be downloaded:\n{done.stdout}")
        (package,) = Path(folder).glob("*.deb")
        files = subprocess.check_output(["dpkg-deb", "--fsys-tarfile", package])
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        return tar.extractfile(next(m for m in tar if m.name.endswith("/bin/busybox"))).read()


def run(*command, cwd=None):
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def say(what):
    print(f"\n[{what}]", flush=True)


def give_up(why):
    """Fails the whole test run."""
    pytest.exit(why, returncode=1)
