"""An Octoflow worker in Python's standard library.

    OCTOFLOW_URL=http://127.0.0.1:5000 OCTOFLOW_KEY=… python3 worker.py emails

docs/guides/worker-protocol.md explains the protocol.
"""

import json, os, socket, sys, threading, time, urllib.error, urllib.request

URL, KEY = os.environ["OCTOFLOW_URL"], os.environ["OCTOFLOW_KEY"]
WORKER, LEASE = f"{socket.gethostname()}-{os.getpid()}", 30


def handle(payload):
    """The work itself. What it returns is the job's result; what it raises is its error."""
    return {"shouted": str(payload["text"]).upper()}


def call(path, body):
    """Posts JSON until the server answers: it may be restarting, and every call may be repeated."""
    delay = 0.1
    while True:
        request = urllib.request.Request(f"{URL}/api/v1{path}", json.dumps(body).encode(), method="POST")
        request.add_header("Authorization", f"Bearer {KEY}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise SystemExit(f"{error.code}: {error.read().decode()}")
        except OSError:
            pass
        time.sleep(delay)
        delay = min(delay * 2, 10)


def keep_alive(job, done):
    """Renews the lease while the job runs."""
    while not done.wait(LEASE / 3):
        call("/jobs/heartbeat", {"workerId": WORKER, "leaseSeconds": LEASE, "jobs": [job]})


def work(queue):
    while True:
        claim = {"workerId": WORKER, "limit": 1, "waitSeconds": 20, "leaseSeconds": LEASE}
        for job in call(f"/queues/{queue}/claim", claim)["jobs"]:
            lease, done = {"id": job["id"], "leaseToken": job["leaseToken"]}, threading.Event()
            threading.Thread(target=keep_alive, args=(lease, done), daemon=True).start()
            try:
                report = {**lease, "outcome": "completed", "result": handle(job["payload"])}
            except Exception as error:
                report = {**lease, "outcome": "failed", "error": {"message": str(error), "code": type(error).__name__}}
            done.set()
            call("/jobs/report", {"workerId": WORKER, "jobs": [report]})


if __name__ == "__main__":
    work(sys.argv[1])
