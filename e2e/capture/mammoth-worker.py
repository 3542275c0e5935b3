"""Works the jobs of `App` off with the released worker, in several threads, until standard input ends."""

import os
import sys
import threading

from drumpler_mammoth import Mammoth


def process(mammoth, job_id, request):
    mammoth.insert_event(job_id, f"Working on {request['n']}")
    return request["n"] % 5 != 0


worker = Mammoth(os.environ["SERVER"], os.environ["KEY"], "App", process, num_workers=4)


def stop_at_end_of_input():
    sys.stdin.read()
    worker.stop_signal.set()


threading.Thread(target=stop_at_end_of_input, daemon=True).start()
worker.run()
