#!/usr/bin/env python3
"""receive_webhook.py [--port N] ...: takes webhooks, checks their signatures and prints each message once, a JSON object
per line; Python 3.8 or later, nothing to install.

The secret, whsec_..., which `admin destinations create` prints, stands in the environment as WEBHOOK_SECRET; while it is
rotated, both with a space between them. A signature is one of Standard Webhooks 1.0.0: HMAC-SHA-256 over
`id.timestamp.body`. A message comes at least once: `webhook-id` is the same each time, and what was taken before is
answered as taken. A receiver that must survive its own end keeps the ids where it keeps the messages, in one transaction.
"""

import argparse
import base64
import collections
import hashlib
import hmac
import http.server
import json
import os
import ssl
import sys
import threading
import time

MOST_BYTES = 1 << 20
TOLERANCE = 300
REMEMBERED = 100_000

lock = threading.Lock()
taken = collections.OrderedDict()


def is_genuine(secrets, headers, body, now):
    """Whether one of the secrets made one of the signatures, and not long ago."""
    webhook_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp)) > TOLERANCE:
        return False
    signed = webhook_id.encode() + b"." + stamp.encode() + b"." + body
    made = ["v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in secrets]
    given = headers.get("webhook-signature", "").split(" ")
    return any([hmac.compare_digest(a.encode(), b.encode()) for a in made for b in given])


def read_secrets(text):
    keys = [base64.b64decode(word[len("whsec_") :]) for word in text.split() if word.startswith("whsec_")]
    if not keys:
        sys.exit("WEBHOOK_SECRET: whsec_... is missing")
    return keys


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    secrets = []

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BYTES:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.secrets, self.headers, body, time.time()):
            return self.answer(401)
        self.take(self.headers["webhook-id"], json.loads(body))
        return self.answer(204)

    def take(self, webhook_id, message):
        """Here the message goes into your own system; answer 2xx only when it is safe there."""
        with lock:
            if webhook_id in taken:
                return
            print(json.dumps(message), flush=True)
            taken[webhook_id] = None
            if len(taken) > REMEMBERED:
                taken.popitem(last=False)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, text, *values):
        print(text % values, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Takes webhooks and prints each message once.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--cert", help="certificate chain, PEM; without it, plain HTTP behind a web server that has TLS")
    parser.add_argument("--key", help="its private key, PEM")
    options = parser.parse_args()
    Receiver.secrets = read_secrets(os.environ.get("WEBHOOK_SECRET", ""))
    server = http.server.ThreadingHTTPServer((options.host, options.port), Receiver)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on port {server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
