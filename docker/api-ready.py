#!/usr/bin/env python3
"""Exit status 0 where the API in this container says that it is ready; else it prints what is missing."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["BITEXTMINE_PORT"]), timeout=8)
connection.request("GET", "/readyz")
answer = connection.getresponse()
sys.stdout.write(answer.read().decode())
sys.exit(answer.status != http.client.OK)
