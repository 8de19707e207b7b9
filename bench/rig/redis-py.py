"""Tasks that enter and leave a section by redis-py's Lock, as hammering.ts does it: threads. A plan a line comes as JSON
on stdin, what was measured goes to stdout. Python's monotonic clock is that of process.hrtime."""
import json
import sys
import threading
import time

import redis

client = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))


def now_ms():
    return time.monotonic() * 1000


def until(ms):
    time.sleep(max(0, (ms - now_ms()) / 1000))


def hammer(plan):
    log = {"task": [], "askedMs": [], "inMs": [], "outMs": [], "stillWaitingMs": []}
    cpu = []

    def run(task):
        lock = client.lock(plan["locks"][task], timeout=10, sleep=0.001)
        while True:
            asked = now_ms()
            if asked >= plan["untilMs"]:
                return
            lock.acquire()
            entered = now_ms()
            if plan["sectionMs"] > 0:
                time.sleep(plan["sectionMs"] / 1000)
            left = now_ms()
            if entered >= plan["untilMs"]:
                log["stillWaitingMs"].append(plan["untilMs"] - asked)
            elif entered >= plan["fromMs"]:
                entry = (task, asked, entered, left)
                for column, value in zip(("task", "askedMs", "inMs", "outMs"), entry):
                    log[column].append(value)
            lock.release()

    def watch_cpu():
        for ms in (plan["fromMs"], plan["untilMs"]):
            until(ms)
            cpu.append(time.process_time())

    until(plan["startMs"])
    threads = [threading.Thread(target=run, args=(task,)) for task in range(len(plan["locks"]))]
    threads.append(threading.Thread(target=watch_cpu))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**log, "cpuUs": (cpu[1] - cpu[0]) * 1e6}


client.ping()
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(hammer(json.loads(line))), flush=True)
