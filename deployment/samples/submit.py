#!/usr/bin/env python3
"""submit.py NUMBER [--idempotency-key KEY] ... < TEXT: submits one message; Python 3.8 or later, nothing to install.

What passes is tried again under the same Idempotency-Key, so that the message is stored once however often it was sent:
no connection, no answer, 408, 429, 500 and 503, after Retry-After where the answer has it, else after a time that
doubles. What does not pass is told: 401 and 403 (certificate), 413 (too large), 400 and 422 (a mistake in the message).

Exits with 0 if the message is on the proxy's disk, with 1 if it was refused, with 3 if nobody took it in time.
"""

import argparse
import http.client
import json
import random
import ssl
import sys
import time
import urllib.parse
import uuid

PASSING = (408, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60


def main():
    options = parse_options()
    text = sys.stdin.buffer.read().decode("utf-8").rstrip("\r\n")
    message = {"sender_number": options.number, "message_body": text, "topic": options.topic}
    body = json.dumps(message).encode()
    key = options.idempotency_key or str(uuid.uuid4())
    give_up = time.monotonic() + options.give_up_after
    context = tls_context(options)
    attempt = 0
    while True:
        try:
            status, headers, answer = post(options.url, context, key, body)
        except ssl.SSLCertVerificationError as error:
            tell("no connection", {"code": "not_trusted", "detail": str(error)})
            return 1
        except (OSError, http.client.HTTPException) as error:
            # No answer is no refusal: the message may have been taken.
            status, headers, answer = None, {}, {"code": "no_answer", "detail": str(error)}
        if status == 202:
            print(json.dumps(answer))
            return 0
        if status is not None and status not in PASSING:
            tell(status, answer)
            return 1
        wait = pause(attempt, headers.get("Retry-After"))
        if time.monotonic() + wait > give_up:
            tell(status or "no connection", answer)
            print(f"given up; send it again with --idempotency-key {key}", file=sys.stderr)
            return 3
        print(f"{answer.get('code')}, again in {wait:.1f} s", file=sys.stderr)
        time.sleep(wait)
        attempt += 1


def parse_options():
    parser = argparse.ArgumentParser(description="Submits the message that standard input has.")
    parser.add_argument("number", help="the sender's number, as in +4915112345678")
    parser.add_argument("--url", default="https://localhost:8001", help="the proxy")
    parser.add_argument("--cert", required=True, help="the client's certificate, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--ca", required=True, help="the authority's certificate, PEM")
    parser.add_argument("--topic", default="default")
    parser.add_argument("--idempotency-key", help="the same key is the same message [default: a fresh one]")
    parser.add_argument("--give-up-after", type=float, default=300, metavar="SECONDS")
    return parser.parse_args()


def tls_context(options):
    """Trusts the installation's own authority alone, and shows the client's certificate."""
    context = ssl.create_default_context(cafile=options.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.cert, options.key)
    return context


def post(url, context, key, body):
    """One attempt: status, headers, and the body, which is JSON in every answer of a proxy."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(place.hostname, place.port, timeout=30, context=context)
    try:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", "/api/v1/messages", body, headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    try:
        answer = json.loads(content)
    except ValueError:
        answer = {"code": "no_json", "detail": "the answer is not from a proxy of this system"}
    return response.status, response.headers, answer


def pause(attempt, retry_after):
    """Seconds until the next attempt; with jitter, lest all clients come back at once."""
    if retry_after and retry_after.isdigit():
        return int(retry_after) + random.random()
    return min(0.5 * 2 ** min(attempt, 10), LONGEST_WAIT) * (0.5 + random.random() / 2)


def tell(status, answer):
    """What a person needs to mend it; `request_id` is what the operator looks for in the logs."""
    print(f"{status}: {answer.get('code')}: {answer.get('detail')}", file=sys.stderr)
    for error in answer.get("errors", []):
        print(f"  {error['pointer']}: {error['detail']}", file=sys.stderr)
    if "request_id" in answer:
        print(f"  request_id {answer['request_id']}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
