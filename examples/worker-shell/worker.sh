#!/usr/bin/env bash
# An Octoflow worker in shell, with curl and jq. It runs a command on each job: the payload comes on standard input, JSON on
# standard output is the result, and a command that fails fails the job with what it wrote to standard error.
#
#   OCTOFLOW_URL=http://127.0.0.1:5000 OCTOFLOW_KEY=… ./worker.sh emails jq '{ shouted: (.text | ascii_upcase) }'
#
# docs/guides/worker-protocol.md explains the protocol.
set -u
export queue=$1 worker="$(hostname)-$$" lease=${OCTOFLOW_LEASE:-30} dir="$(mktemp -d)"
shift

# Posts JSON until the server answers: it may be restarting, and every call may be repeated.
call() {
  local body
  body=$(cat)
  until curl --silent --show-error --fail --max-time 60 --data @- "$OCTOFLOW_URL/api/v1$1" 2>"$dir/$BASHPID" <<<"$body" \
    --header "Authorization: Bearer $OCTOFLOW_KEY" --header 'Content-Type: application/json'; do
    ! grep -E 'error: 4' "$dir/$BASHPID" | grep -vE 'error: (408|429)' >&2 || return 1
    sleep "0.$((RANDOM % 900 + 100))"
  done
}

claim() {
  jq -nc --argjson lease "$lease" '{ workerId: env.worker, limit: 1, waitSeconds: 15, leaseSeconds: $lease }' |
    call "/queues/$queue/claim" >"$dir/claim"
}

# Renews the lease of a job while a process group works on it, and stops that on command.
keep_alive() {
  while sleep "$(jq -n "$lease / 3")"; do
    command=$(jq -c --argjson lease "$lease" '{ workerId: env.worker, leaseSeconds: $lease, jobs: [.] }' <<<"$1" |
      call /jobs/heartbeat | jq -r '.jobs[0].command')
    case $command in
      drain) touch "$dir/drain" ;;
      cancel | lost) echo "$command" >"$dir/command" && kill -- "-$2" && return ;;
    esac
  done
}

# Runs a command as a process group of its own, so that all of it can be stopped: once it is one, if it has only just begun.
group() { exec setsid bash -c '"$@"' - "$@"; }
stop() { until kill -- "-$1" || ! kill -0 "$1"; do sleep 0.01; done; wait "$1"; } 2>/dev/null
export -f call claim keep_alive

# On SIGTERM it finishes what is in hand. A claim under way is given up: what it may still bring comes back when its lease ends.
claiming='' alive=''
trap '[ -z "$claiming" ] || stop "$claiming"; [ -z "$alive" ] || stop "$alive"; rm -rf "$dir"' EXIT
trap 'touch "$dir/drain"; [ -z "$claiming" ] || exit 0' TERM INT

while [ ! -e "$dir/drain" ]; do
  group claim & claiming=$!
  [ ! -e "$dir/drain" ] || exit 0
  wait "$claiming" || exit 1
  claiming=''
  [ "$(jq .drain "$dir/claim")" = false ] || touch "$dir/drain"
  job=$(jq -c '.jobs[0] // empty' "$dir/claim")
  [ -n "$job" ] || continue

  held=$(jq -c '{ id, leaseToken }' <<<"$job")
  echo continue >"$dir/command"
  group "$@" <<<"$(jq -c .payload <<<"$job")" >"$dir/result" 2>"$dir/error" & working=$!
  group keep_alive "$held" "$working" & alive=$!
  while kill -0 "$working" 2>/dev/null; do wait "$working" 2>/dev/null && outcome=completed || outcome=failed; done
  stop "$alive"
  alive=''

  case $(cat "$dir/command") in
    lost) continue ;;
    cancel) outcome=cancelled ;;
  esac
  jq -c --arg outcome "$outcome" --rawfile result "$dir/result" --rawfile error "$dir/error" '. + { $outcome }
    + if $outcome == "completed" then { result: ($result | fromjson) } elif $outcome == "failed" then { $error } else {} end
    | { workerId: env.worker, jobs: [.] }' <<<"$held" | call /jobs/report >/dev/null
done
