"""Shared by the checks that use other programs: installing and running them, and querying Prometheus."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds; the time limit for everything


def say(text):
    print(text, flush=True)


def demand(condition, problem):
    if not condition:
        sys.exit(f"FAILED: {problem}")


def install(*packages):
    """Installs these Debian packages if they are missing."""
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}\n"]
    missing = [
        package
        for package in packages
        if "installed\n"
        != subprocess.run([*query, package], capture_output=True, text=True, check=False).stdout
    ]
    if missing:
        say(f"installing {' '.join(missing)}")
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """Programs that run during the test and end with it."""

    def __enter__(self):
        self.running = []
        self.ending = []
        return self

    def start(self, command, output):
        with open(output, "w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        self.running.append((process, output))
        return process

    def expect_end(self, process):
        self.ending.append(process)

    def demand_all_run(self):
        for process, output in self.running:
            has_ended = process.poll() is not None and process not in self.ending
            demand(not has_ended, f"{process.args[0]} exited:\n{Path(output).read_text()}")

    def __exit__(self, *_):
        for process, _ in self.running:
            process.terminate()
        for process, _ in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def wait(processes, what, probe, missing=str):
    """The first answer of `probe` that is not None."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        processes.demand_all_run()
        answer = probe()
        if answer is not None:
            return answer
        time.sleep(0.2)
    sys.exit(f"FAILED: after {PATIENCE} s, still waiting for {what}\n{missing()}")


class Prometheus:
    """A Prometheus with the test's configuration."""

    def __init__(self, processes, config, data):
        self.processes = processes
        self.address = f"127.0.0.1:{free_port()}"
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
        command.append(f"--web.listen-address={self.address}")
        processes.start(command, f"{data}.out")
        wait(processes, "Prometheus was ready", self.is_ready)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10):
                return True
        except OSError:
            return None

    def get(self, path, **parameters):
        url = f"http://{self.address}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            sys.exit(f"FAILED: {parameters}: {error.read().decode()}")

    def query(self, expression, is_range):
        """The series with at least one numeric value."""
        if is_range:
            now = time.time()
            answer = self.get(
                "/api/v1/query_range", query=expression, start=now - 10, end=now, step=1
            )
            series = [(entry["metric"], entry["values"]) for entry in answer["result"]]
        else:
            answer = self.get("/api/v1/query", query=expression)
            series = [(entry["metric"], [entry["value"]]) for entry in answer["result"]]
        return [
            labels
            for labels, values in series
            if any(value not in ("NaN", "+Inf", "-Inf") for _, value in values)
        ]

    def value(self, expression):
        """The single value of an expression; None if there is none."""
        result = self.get("/api/v1/query", query=expression)["result"]
        return float(result[0]["value"][1]) if len(result) == 1 else None
