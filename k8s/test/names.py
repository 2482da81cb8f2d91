"""A DNS server for the test cluster: Services without an address of their own, by the addresses of their endpoints."""

import json
import socket
import socketserver
import struct
import sys
import threading
import time
import urllib.request

DOMAIN = "cluster.local"


class Names:
    """What names there are, read from the API server again and again."""

    def __init__(self, server, token, insecure):
        self.request = urllib.request.Request(f"{server}/api/v1/endpoints", headers={"Authorization": f"Bearer {token}"})
        self.insecure = insecure
        self.known = {}

    def read(self):
        with urllib.request.urlopen(self.request, timeout=5, context=self.insecure) as answer:
            found = json.load(answer)
        known = {}
        for each in found["items"]:
            name = f"{each['metadata']['name']}.{each['metadata']['namespace']}.svc.{DOMAIN}"
            for subset in each.get("subsets", []):
                # Services here publish those that are not ready.
                for address in subset.get("addresses", []) + subset.get("notReadyAddresses", []):
                    known.setdefault(name, []).append(address["ip"])
                    if "hostname" in address:
                        known.setdefault(f"{address['hostname']}.{name}", []).append(address["ip"])
        self.known = known

    def follow(self):
        while True:
            try:
                self.read()
            except OSError as error:
                print("names:", error, file=sys.stderr)
            time.sleep(0.5)


def question(packet):
    """The name that is asked for, the kind, and where the question ends."""
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    [kind] = struct.unpack(">H", packet[at + 1:at + 3])
    return ".".join(labels).lower(), kind, at + 5


def answer(packet, names):
    name, kind, end = question(packet)
    addresses = names.known.get(name, [])
    code = 0 if addresses else 3
    records = [socket.inet_aton(address) for address in addresses] if kind == 1 else []
    head = packet[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + record for record in records)
    return head + packet[12:end] + body


def serve(address, names):
    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            packet, sender = self.request
            sender.sendto(answer(packet, names), self.client_address)

    threading.Thread(target=names.follow, daemon=True).start()
    server = socketserver.ThreadingUDPServer((address, 53), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
