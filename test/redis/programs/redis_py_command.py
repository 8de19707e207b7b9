"""Sends one command as redis-py does, and prints what it makes of the reply as JSON: SOCKET COMMAND ARGUMENT…"""
import json
import sys

import redis

store = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
print(json.dumps(store.execute_command(*sys.argv[2:]), default=list))
