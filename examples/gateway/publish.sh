#!/bin/sh
# Needs curl 7.76. On 408, 429 and 503 it sends the same event again, which is safe, once Retry-After has passed.
set -eu

send() {
    # the token goes in by a pipe, since arguments are seen by every user of the machine
    printf 'Authorization: Bearer %s\n' "$GATEWAY_TOKEN" |
        curl --silent --show-error --fail-with-body --retry 20 --retry-connrefused --max-time 60 \
            --header @- --header 'Content-Type: application/json' --data-binary "$1" "$GATEWAY_URL/v1/events"
    echo
}

now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
send '{"type":"user.registered.v1","user_id":"1","username":"ada","registered_at":"'"$now"'"}'
send '{"type":"submission.solved.v1","submission_id":"1","user_id":"1","problem_id":"two-sum","judged_at":"'"$now"'"}'
