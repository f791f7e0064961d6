#!/bin/sh
# submit.sh NUMBER [KEY] < TEXT: submits one message with curl (7.76 or later) and prints the answer.
# KEY is the Idempotency-Key, by which a repeat is known; without it a fresh one is made. It is printed first: to send the
# same message again after a failure, give it.
# BROKER_URL, BROKER_CERT, BROKER_KEY and BROKER_CA name the proxy, the client's certificate with its key, and the
# authority's certificate.
# Ends with 0 if the message is on the proxy's disk, else with 1. What passes (no connection, no answer in time, 429, 500,
# 503) is tried again, after Retry-After where the answer has it.
set -eu
number=$1
key=${2:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# JSON's own escapes; what other control characters there are the proxy refuses.
tab=$(printf '\t')
text=$(sed "s/\\\\/\\\\\\\\/g; s/\"/\\\\\"/g; s/$tab/\\\\t/g" | awk '{ printf "%s%s", end, $0; end = "\\n" }')

echo "Idempotency-Key: $key" >&2
if printf '{"sender_number":"%s","message_body":"%s"}' "$number" "$text" |
    curl --silent --show-error --fail-with-body --max-time 30 \
        --retry 8 --retry-connrefused --retry-max-time 300 \
        --cacert "$BROKER_CA" --cert "$BROKER_CERT" --key "$BROKER_KEY" \
        --header 'Content-Type: application/json' --header "Idempotency-Key: $key" \
        --data-binary @- --output "$answer" "${BROKER_URL:-https://localhost:8001}/api/v1/messages"; then
    cat "$answer"
    echo
else
    cat "$answer" >&2
    exit 1
fi
