"""An Octoflow worker in Python's standard library.

    OCTOFLOW_URL=http://127.0.0.1:5000 OCTOFLOW_KEY=… python3 worker.py emails

docs/guides/worker-protocol.md explains the protocol.
"""

import http.client, json, os, random, signal, socket, sys, threading, time, urllib.error, urllib.request

URL, KEY = os.environ["OCTOFLOW_URL"], os.environ["OCTOFLOW_KEY"]
LEASE = float(os.environ.get("OCTOFLOW_LEASE", 30))
WORKER = f"{socket.gethostname()}-{os.getpid()}"
claiming, draining = threading.Event(), threading.Event()


def handle(payload, stop):
    """The work itself. What it returns is the job's result, what it raises its error. `stop` is set when it is pointless."""
    stop.wait(payload.get("seconds", 0))
    return {"shouted": payload["text"].upper()}


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
            if error.code < 500 and error.code not in (408, 429):
                raise SystemExit(f"{path}: {error.code} {error.read().decode()}")
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(delay * random.uniform(0.5, 1))
        delay = min(delay * 2, 10)


class Attempt(threading.Thread):
    """A job in hand. As a thread of its own it renews the lease and takes commands."""

    def __init__(self, job):
        super().__init__(daemon=True)
        self.lease = {"id": job["id"], "leaseToken": job["leaseToken"]}
        self.payload, self.command = job["payload"], "continue"
        self.stop, self.done = threading.Event(), threading.Event()

    def run(self):
        while not self.done.wait(LEASE / 3):
            [answer] = call("/jobs/heartbeat", {"workerId": WORKER, "leaseSeconds": LEASE, "jobs": [self.lease]})["jobs"]
            self.command = answer["command"]
            if self.command == "drain":
                draining.set()
            elif self.command != "continue":
                return self.stop.set()

    def work(self):
        self.start()
        try:
            report = {"outcome": "completed", "result": handle(self.payload, self.stop)}
        except Exception as error:
            report = {"outcome": "failed", "error": {"message": str(error), "code": type(error).__name__}}
        self.done.set()
        if self.command == "cancel":
            report = {"outcome": "cancelled"}
        if self.command != "lost":
            call("/jobs/report", {"workerId": WORKER, "jobs": [{**self.lease, **report}]})


def claim(queue):
    claiming.set()
    answer = call(f"/queues/{queue}/claim", {"workerId": WORKER, "limit": 1, "waitSeconds": 20, "leaseSeconds": LEASE})
    claiming.clear()
    if answer["drain"]:
        draining.set()
    return answer["jobs"]


def end(*_):
    """Finishes what is in hand. A claim under way is given up: what it may still bring comes back when its lease ends."""
    draining.set()
    if claiming.is_set():
        raise SystemExit


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while not draining.is_set():
        for job in claim(sys.argv[1]):
            Attempt(job).work()
