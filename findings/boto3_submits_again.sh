#!/usr/bin/env bash
# boto3 sends the call that starts a job up to three times, and its two settings count differently.
#
# Versions:  boto3 and botocore 1.44.8, CPython 3.11.
# Input:     `submit_job` of AWS Batch against a server on the loopback interface, which reads each
#            request whole and then closes the connection, as a network does that breaks before the
#            answer. The requests are counted: with no setting, with Config(retries={"max_attempts":
#            1}), with the environment variable AWS_MAX_ATTEMPTS=1, and with total_max_attempts 1.
# Expected:  a call that starts work and has no token by which the server could know it again
#            (SubmitJob has none) is sent once; if not, max_attempts 1 means one attempt.
# Seen:      three times without a setting, so that three jobs may run. `max_attempts` of Config
#            counts the attempts after the first; the variable of the same name counts all.
#
#                setting                  requests
#                none                     3
#                max_attempts 1           2
#                AWS_MAX_ATTEMPTS=1       1
#                total_max_attempts 1     1
#
# Here:      an executor with `retries=0` owes its host one attempt (RET-01): docs/backends.md.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset AWS_MAX_ATTEMPTS AWS_RETRY_MODE AWS_PROFILE

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "boto3==1.44.8" "botocore==1.44.8"

cat >"$work/script.py" <<'PYTHON'
import http.server
import os
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError


class Server(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Server.requests += 1
        self.close_connection = True

    def log_message(self, *args):
        pass


def requests(retries=None):
    before = Server.requests
    client = boto3.client(
        "batch",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries=retries, proxies={}),
    )
    try:
        client.submit_job(jobName="name", jobQueue="queue", jobDefinition="definition")
    except ConnectionClosedError:
        return Server.requests - before


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("none", requests())
print("max_attempts", requests({"max_attempts": 1}))
print("total_max_attempts", requests({"total_max_attempts": 1}))
os.environ["AWS_MAX_ATTEMPTS"] = "1"
print("AWS_MAX_ATTEMPTS", requests())
server.shutdown()
PYTHON

seen=$(HOME="$work" "$work/venv/bin/python" "$work/script.py")
printf '%s\n' "$seen"
[[ $seen == $'none 3\nmax_attempts 2\ntotal_max_attempts 1\nAWS_MAX_ATTEMPTS 1' ]]
