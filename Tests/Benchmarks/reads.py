#!/usr/bin/env python3
"""Processor time of a tandemd for each read, in batches of a hundred over the stream. Called by reads.sh, which starts the server and fills it.

usage: reads.py PORT PID      certificates: TANDEM_CA_FILE, TANDEM_CERT_FILE, TANDEM_KEY_FILE
"""
import json
import os
import socket
import ssl
import sys

BATCH = 100


class Server:
    def __init__(self, port, pid):
        self.pid = pid
        context = ssl.create_default_context(cafile=os.environ["TANDEM_CA_FILE"])
        context.load_cert_chain(os.environ["TANDEM_CERT_FILE"], os.environ["TANDEM_KEY_FILE"])
        context.check_hostname = False
        context.set_alpn_protocols(["jsonrpc"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        self.lines = self.socket.makefile("rb")

    def ask(self, calls):
        """The results of some calls, as (method, params), in one message."""
        return self.exchange(json.dumps([{"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                                         for number, (method, params) in enumerate(calls)]))

    def exchange(self, message):
        self.socket.sendall(message.encode() + b"\n")
        answers = json.loads(self.lines.readline())
        return [answer["result"] for answer in sorted(answers, key=lambda answer: answer["id"])]

    def nanoseconds(self):
        tasks = os.listdir(f"/proc/{self.pid}/task")
        return sum(int(open(f"/proc/{self.pid}/task/{task}/schedstat").read().split()[0]) for task in tasks)

    def measure(self, calls, rounds):
        """Microseconds of processor time for each call."""
        message = json.dumps([{"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                              for number, (method, params) in enumerate(calls)]).encode() + b"\n"
        for _ in range(20):
            self.exchange(message.decode().strip())
        before = self.nanoseconds()
        for _ in range(rounds):
            self.socket.sendall(message)
            self.lines.readline()
        return (self.nanoseconds() - before) / rounds / len(calls) / 1000


def main():
    port, pid = int(sys.argv[1]), int(sys.argv[2])
    server = Server(port, pid)
    items = server.ask([("ListServices", {"limit": BATCH})])[0]["items"]
    namespace = items[0]["metadata"]["namespace"]
    names = [item["metadata"]["name"] for item in items]
    addresses = [item["spec"]["clusterIPs"][0] for item in items]
    page = {"namespace": namespace, "limit": 1}
    rows = [
        ("`LookupIP`", [("LookupIP", {"ip": address}) for address in addresses], 300),
        ("`GetService`", [("GetService", {"service": {"metadata": {"namespace": namespace, "name": name}}})
                          for name in names], 300),
        ("`ListServices`, pages of one", [("ListServices", page)] * BATCH, 300),
        ("`ListServices`, a page of a hundred", [("ListServices", {**page, "limit": BATCH})] * 10, 100),
    ]
    print("| read, in batches | processor time |\n| --- | --- |")
    for name, calls, rounds in rows:
        print(f"| {name} | {server.measure(calls, rounds):.1f} µs |")


main()
