#!/usr/bin/env python3
"""The server's processor time a change, with and without clients that watch: watch.py PORT PID SECONDS ROUNDS.

Pods come to 1,000 nodes, at the rate of the row; besides, nobody watches, or 1,000 connections each watch one node, or 100 connections watch
everything. Rows are measured in turns, and the medians told."""
import asyncio
import os
import resource
import ssl
import statistics
import sys
import time

port, process, seconds, rounds = (int(word) for word in sys.argv[1:5])
nodes = 1000
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
context = ssl.create_default_context(cafile=os.environ["TANDEM_CA_FILE"])
context.load_cert_chain(os.environ["TANDEM_CERT_FILE"], os.environ["TANDEM_KEY_FILE"])
context.set_alpn_protocols(["jsonrpc"])
made = 0


def used():
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Counter:
    """The results of a kind of connections."""

    def __init__(self):
        self.begun = self.events = self.notifications = 0


async def open_connection():
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 22)


async def watch(query, slots, counter):
    async with slots:
        reader, writer = await open_connection()
        writer.write(b'{"jsonrpc":"2.0","id":1,"method":"Watch","params":' + query + b"}\n")
        answer = await reader.readline()
        assert b'"result"' in answer, answer
        # The existing objects have been sent with this.
        while b"BOOKMARK" not in await reader.readline():
            pass
    counter.begun += 1
    try:
        while line := await reader.readline():
            counter.events += line.count(b'"type":"ADDED"') + line.count(b'"type":"MODIFIED"')
            counter.notifications += 1
    finally:
        writer.transport.abort()


async def change(rate, end):
    """Pods at an even rate over four connections; returns how many there are answers for."""
    global made
    connections = [await open_connection() for _ in range(4)]
    answers = 0

    async def read(reader):
        nonlocal answers
        while data := await reader.read(1 << 18):
            if b'"error"' in data:
                sys.exit(f"refused: {data}")
            answers += data.count(b"\n")

    readers = [asyncio.create_task(read(reader)) for reader, _ in connections]
    begun, sent = time.monotonic(), 0
    while (now := time.monotonic()) < end:
        due = int((now - begun) * rate) - sent
        for _ in range(due):
            made += 1
            connections[made % 4][1].write(
                b'{"jsonrpc":"2.0","id":%d,"method":"AllocatePodIPs","params":{"pod":{"metadata":{"namespace":"watched",'
                b'"name":"pod-%d"},"spec":{"nodeName":"node-%d"}},"attachment":{"containerID":"c%d"}}}\n'
                % (made, made, made % nodes, made)
            )
        sent += due
        await asyncio.sleep(0.001)
    while answers < sent:
        await asyncio.sleep(0.001)
    for task in readers:
        task.cancel()
    for _, writer in connections:
        writer.transport.abort()
    return sent


async def row(rate, queries):
    counter, slots = Counter(), asyncio.Semaphore(16)
    tasks = [asyncio.create_task(watch(query, slots, counter)) for query in queries]
    while counter.begun < len(queries):
        await asyncio.sleep(0.01)
    counter.events = counter.notifications = 0
    before = used()
    changes = await change(rate, time.monotonic() + seconds)
    expected = changes * (len(queries) if queries[:1] == [b"{}"] else 1) if queries else 0
    while counter.events < expected:
        await asyncio.sleep(0.001)
    micros = (used() - before) * 1e6 / changes
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return micros, counter.events / changes, counter.events / max(1, counter.notifications)


async def main():
    # The nodes are there before anything is measured.
    await change(nodes, time.monotonic() + 2)
    of_nodes = [b'{"nodeName":"node-%d"}' % number for number in range(nodes)]
    rows = {
        (1000, "nobody"): [],
        (1000, "1,000 of one node each"): of_nodes,
        (1000, "100 of everything"): [b"{}"] * 100,
    }
    found = {key: [] for key in rows}
    for _ in range(rounds):
        for key, queries in rows.items():
            found[key].append(await row(key[0], queries))
    print("| changes a second | watches | us a change | us more than with nobody | % more | us a delivery | events a notification |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (rate, name), results in found.items():
        micros, deliveries, together = (statistics.median(result[part] for result in results) for part in range(3))
        alone = statistics.median(result[0] for result in found[(rate, "nobody")])
        more = micros - alone
        delivery = f"{more / deliveries:.2f}" if deliveries else ""
        print(f"| {rate} | {name} | {micros:.1f} | {more:.1f} | {100 * more / alone:.0f} | {delivery} | {together:.1f} |")


asyncio.run(main())
