"""Takes and gives back a redis-py lock as it is told: SOCKET NAME SECONDS, then acquire or release line by line."""
import sys

import redis

socket, name, seconds = sys.argv[1:]
lock = redis.Redis(unix_socket_path=socket).lock(name, timeout=float(seconds))
for line in sys.stdin:
    if line.strip() == "acquire":
        print(lock.acquire(blocking=False), flush=True)
    else:
        lock.release()
        print("released", flush=True)
