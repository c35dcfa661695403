"""A small Stratum pool and a small miner. They hash for real at a tiny difficulty and know nothing about DPMP."""

import contextlib
import hashlib
import itertools
import json
import select
import socket
import struct
import threading
import time

DIFFICULTY = 2e-7
TARGET = int((0xFFFF << 208) / DIFFICULTY)


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def header_of(job, extranonce1, extranonce2, ntime, nonce):
    """The block header of a job; `job` is the parameter list of mining.notify, and the rest is hex as in messages."""
    _, prevhash, coinb1, coinb2, branches, version, nbits = job[:7]
    root = sha256d(bytes.fromhex(coinb1 + extranonce1 + extranonce2 + coinb2))
    for branch in branches:
        root = sha256d(root + bytes.fromhex(branch))
    prevhash = b"".join(
        bytes.fromhex(prevhash)[at : at + 4][::-1] for at in range(0, 32, 4)
    )
    little = [bytes.fromhex(word)[::-1] for word in (version, ntime, nbits, nonce)]
    return little[0] + prevhash + root + b"".join(little[1:])


def meets_target(header):
    return int.from_bytes(sha256d(header), "little") <= TARGET


def lines_of(connection):
    """Each message received until the connection ends."""
    with contextlib.suppress(OSError), connection.makefile("rb") as file:
        for line in file:
            yield json.loads(line)


def send(connection, **message):
    connection.sendall(json.dumps(message).encode() + b"\n")


class Pool:
    """Answers each share after a moment, so that some are always pending."""

    ANSWER_AFTER = 0.1

    def __init__(self, name):
        self.name = name
        self.accepted = 0
        self.wrong = []
        self.extranonces = itertools.count(1)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def job(self, number, extranonce1):
        coinbase = f"{self.name}{extranonce1}".encode().hex()
        ntime = f"{int(time.time()):08x}"
        branches = [hashlib.sha256(coinbase.encode()).hexdigest()]
        return [
            f"{number:x}", "11" * 32, "01000000" + coinbase, "00000000", branches,
            "20000000", "1903a30c", ntime, False,
        ]  # fmt: skip

    def serve(self, connection):
        extranonce1 = f"{next(self.extranonces):08x}"
        jobs = {}
        for message in lines_of(connection):
            number, method, given = message.get("id"), message.get("method"), message.get("params")
            with contextlib.suppress(OSError):
                if method == "mining.subscribe":
                    result = [[["mining.notify", extranonce1]], extranonce1, 8]
                    send(connection, id=number, result=result, error=None)
                elif method == "mining.authorize":
                    send(connection, id=number, result=True, error=None)
                    send(connection, id=None, method="mining.set_difficulty", params=[DIFFICULTY])
                    for _ in range(2):
                        job = self.job(len(jobs) + 1, extranonce1)
                        jobs[job[0]] = job
                        send(connection, id=None, method="mining.notify", params=job)
                elif method == "mining.submit":
                    _, job, extranonce2, ntime, nonce = given[:5]
                    good = job in jobs and meets_target(
                        header_of(jobs[job], extranonce1, extranonce2, ntime, nonce)
                    )
                    time.sleep(self.ANSWER_AFTER)
                    if good:
                        self.accepted += 1
                        send(connection, id=number, result=True, error=None)
                    else:
                        self.wrong.append(given)
                        send(connection, id=number, result=None, error=[23, "low", None])
                elif number is not None:
                    send(connection, id=number, result=None, error=[20, "unknown", None])


class Miner:
    """Sends shares from its own address, and reconnects whenever it is disconnected."""

    SHARE_EVERY = 0.15

    def __init__(self, address, server, worker):
        self.address, self.server, self.worker = address, server, worker
        self.connections = 0
        self.accepted = 0
        self.refused = []
        self.unanswered = 0
        self.failed = []
        self.is_working = False
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping = True
        self.thread.join(10)

    def run(self):
        while not self.stopping:
            try:
                connection = socket.create_connection(
                    self.server, timeout=10, source_address=(self.address, 0)
                )
            except OSError as error:
                self.failed.append(str(error))
                time.sleep(0.2)
                continue
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self.waiting = {}
                with contextlib.suppress(OSError):
                    self.work(connection)
                self.is_working = False
                self.unanswered += len(self.waiting)
            time.sleep(0.05)

    def work(self, connection):
        send(connection, id=1, method="mining.subscribe", params=["testminer/1"])
        send(connection, id=2, method="mining.authorize", params=[f"any.{self.worker}", "x"])
        self.extranonce1, self.job, buffer = None, None, b""
        next_share = 0.0
        for number in itertools.count(3):
            # At the end, it waits for the answers to all shares.
            if self.stopping and not self.waiting:
                return
            pause = max(next_share - time.monotonic(), 0) if self.job and not self.stopping else 1
            while select.select([connection], [], [], pause)[0]:
                received = connection.recv(65536)
                if not received:
                    return
                *lines, buffer = (buffer + received).split(b"\n")
                for line in lines:
                    self.take(json.loads(line))
                pause = 0
            if self.job and not self.stopping and time.monotonic() >= next_share:
                share = self.find(number)
                self.waiting[number] = share
                send(connection, id=number, method="mining.submit", params=share)
                next_share = time.monotonic() + self.SHARE_EVERY

    def take(self, message):
        if message.get("method") == "mining.notify":
            self.job = message["params"]
        elif message.get("id") == 1:
            _, self.extranonce1, self.size = message["result"]
        elif message.get("id") in self.waiting:
            self.waiting.pop(message["id"])
            if message.get("result") is True:
                self.accepted += 1
                self.is_working = True
            else:
                self.refused.append(message.get("error"))

    def find(self, number):
        extranonce2 = f"{number:0{2 * self.size}x}"
        ntime = self.job[7]
        start = header_of(self.job, self.extranonce1, extranonce2, ntime, "00000000")[:76]
        for nonce in itertools.count():
            if meets_target(start + struct.pack("<I", nonce)):
                return [f"any.{self.worker}", self.job[0], extranonce2, ntime, f"{nonce:08x}"]
