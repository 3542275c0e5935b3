#!/bin/sh
# An Octoflow worker in shell, with curl and jq.
#
#   OCTOFLOW_URL=http://127.0.0.1:5000 OCTOFLOW_KEY=… ./worker.sh emails
#
# docs/guides/worker-protocol.md explains the protocol.
set -u
queue=$1
worker=$(hostname)-$$
lease=30

# The work itself: the payload on standard input; JSON on standard output is the job's result, a failure is its error.
handle() {
  jq -e '{ shouted: (.text | ascii_upcase) }'
}

# Posts JSON until the server answers: it may be restarting, and every call may be repeated.
call() {
  body=$(cat)
  while true; do
    printf %s "$body" | curl --silent --show-error --fail-with-body --max-time 60 --retry 1000000 --retry-delay 1 \
      --header "Authorization: Bearer $OCTOFLOW_KEY" --header 'Content-Type: application/json' \
      --data @- "$OCTOFLOW_URL/api/v1$1" && return
    [ $? -ne 22 ] || return 1 # It answered, and refused.
    sleep 1
  done
}

# Renews the lease of a job while it runs.
keep_alive() {
  while sleep $((lease / 3)); do
    jq --null-input --compact-output --arg w "$worker" --argjson l "$lease" --argjson job "$1" \
      '{ workerId: $w, leaseSeconds: $l, jobs: [$job] }' | call /jobs/heartbeat >/dev/null
  done
}

while true; do
  claim=$(jq -nc --arg w "$worker" --argjson l "$lease" '{ workerId: $w, limit: 1, waitSeconds: 20, leaseSeconds: $l }' |
    call "/queues/$queue/claim") || exit 1
  job=$(printf %s "$claim" | jq -c '.jobs[0] // empty')
  [ -n "$job" ] || continue

  held=$(printf %s "$job" | jq -c '{ id, leaseToken }')
  keep_alive "$held" &
  alive=$!
  if output=$(printf %s "$job" | jq -c .payload | handle 2>&1); then
    report=$(jq -nc --argjson held "$held" --argjson result "$output" '$held + { outcome: "completed", result: $result }')
  else
    report=$(jq -nc --argjson held "$held" --arg error "$output" '$held + { outcome: "failed", error: $error }')
  fi
  kill "$alive"
  jq -nc --arg w "$worker" --argjson report "$report" '{ workerId: $w, jobs: [$report] }' | call /jobs/report >/dev/null
done
