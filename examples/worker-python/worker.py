"""An Octoflow worker in Python's standard library.

    OCTOFLOW_URL=http://127.0.0.1:5000 OCTOFLOW_KEY=… python3 worker.py emails

docs/guides/worker-protocol.md explains the protocol.
"""

import http.client, json, os, random, signal, socket, sys, threading, time, urllib.error, urllib.request

URL, KEY = os.environ["OCTOFLOW_URL"], os.environ["OCTOFLOW_KEY"]
WORKER, LEASE = f"{socket.gethostname()}-{os.getpid()}", float(os.environ.get("OCTOFLOW_LEASE", 30))
claiming, draining = threading.Event(), threading.Event()


def handle(payload, stop):
    """The work itself. What it returns is the job's result, what it raises its error. `stop` is set when it is pointless."""
    stop.wait(payload.get("seconds", 0))
    return {"shouted": payload["text"].upper()}


def call(path, **body):
    """Posts JSON until the server answers: it may be restarting, and every call may be repeated."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = json.dumps({"workerId": WORKER, **body}).encode()
    for tries in range(sys.maxsize):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{URL}/api/v1{path}", data, headers), timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise SystemExit(f"{path}: {error.code} {error.read().decode()}")
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(random.uniform(0.5, 1) * min(0.1 * 2**min(tries, 9), 10))


def work(job):
    lease, commands = {"id": job["id"], "leaseToken": job["leaseToken"]}, []
    stop, done = threading.Event(), threading.Event()

    def keep_alive():
        while not done.wait(LEASE / 3):
            commands.append(call("/jobs/heartbeat", leaseSeconds=LEASE, jobs=[lease])["jobs"][0]["command"])
            if commands[-1] == "drain":
                draining.set()
            elif commands[-1] != "continue":
                return stop.set()

    threading.Thread(target=keep_alive, daemon=True).start()
    try:
        report = {"outcome": "completed", "result": handle(job["payload"], stop)}
    except Exception as error:
        report = {"outcome": "failed", "error": {"message": str(error), "code": type(error).__name__}}
    done.set()
    if "lost" not in commands:
        call("/jobs/report", jobs=[{**lease, **({"outcome": "cancelled"} if "cancel" in commands else report)}])


def end(*_):
    """Finishes what is in hand. A claim under way is given up: what it may still bring comes back when its lease ends."""
    draining.set()
    if claiming.is_set():
        raise SystemExit


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, end)
while not draining.is_set():
    claiming.set()
    answer = call(f"/queues/{sys.argv[1]}/claim", limit=1, waitSeconds=15, leaseSeconds=LEASE)
    claiming.clear()
    for job in answer["jobs"]:
        work(job)
    if answer["drain"]:
        draining.set()
