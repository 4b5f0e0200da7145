"""A real HTTP server that speaks vLLM's protocol, and its faults, with weights that are even odds.

Run as a program, it stands in for `vllm.entrypoints.openai.api_server`. What it writes is drawn
from the tokens that are allowed, and told with the logprob that it had.
"""

import argparse
import json
import math
import os
import random
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loopback import Quiet, running

FAILURE = """\
(VllmWorker-0 pid=3925) ERROR 12-01 11:25:21 [multiproc_executor.py:953] ValueError: no room
(EngineCore pid=3894) INFO 12-01 11:25:21 [multiproc_executor.py:479] shutdown
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""
"""How vLLM 0.32 says that it cannot start: the cause first, by one of its processes."""

FREE = (7, 8, 9)
"""What it writes where nothing holds it."""


class Vllm(ThreadingHTTPServer):
    """One server; `loras` are the folders by name, `faults` come before any answer."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *names, port=0, raw=False, tells=True, slow_s=0.0):
        super().__init__(("127.0.0.1", port), Handler)
        self.names, self.raw, self.tells, self.slow_s = list(names), raw, tells, slow_s
        self.loras = {}
        self.loads = []
        self.faults = []
        self.asked = []
        self.dies_at = 0  # the number of the request at which it dies, as a process

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(Quiet, BaseHTTPRequestHandler):
    def do_GET(self):
        served = [*self.server.names, *self.server.loras]
        self.send(200, {"data": [{"id": name} for name in served]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            self.load(body)
        else:
            self.complete(body)

    def load(self, body):
        name = body["lora_name"]
        self.server.loads.append(name)
        if name in self.server.loras:
            self.refuse(400, f"The lora adapter '{name}' has already been loaded.")
        elif body["lora_path"].endswith("broken"):
            self.refuse(404, f"Loading lora {name} failed: No adapter found")
        else:
            self.server.loras[name] = body["lora_path"]
            self.reply(200, f"Success: LoRA adapter '{name}' added successfully.".encode())

    def complete(self, body):
        self.server.asked.append(body)
        if len(self.server.asked) == self.server.dies_at:
            os._exit(9)
        if self.server.faults:
            self.server.faults.pop(0)(self)
            return
        model = body["model"]
        if model not in self.server.names and model not in self.server.loras:
            self.refuse(404, f"The model `{model}` does not exist.")
            return
        time.sleep(self.server.slow_s)
        self.send(200, self.written(body))

    def written(self, body):
        if "allowed_token_ids" in body:
            assert body["max_tokens"] == 1
            allowed = body["allowed_token_ids"]
            ids = [random.Random(body["seed"]).choice(allowed)]
            logprobs = [-math.log(len(allowed))]
        else:
            ids = [*FREE, *body["stop_token_ids"]]
            logprobs = [-1.0] * len(ids)
        if self.server.raw:
            logprobs = [each - 1.0 for each in logprobs]
        choice = {"text": "", "token_ids": ids, "logprobs": {"token_logprobs": logprobs}}
        if not self.server.tells:
            choice = {"text": "go left", "logprobs": None}
        return {"id": "cmpl-1", "model": body["model"], "choices": [choice]}

    def refuse(self, status, message):
        self.send(status, {"error": {"message": message, "type": "error", "code": status}})

    def send(self, status, body):
        self.reply(status, json.dumps(body).encode())


@contextmanager
def serving(*names, **how):
    with running(Vllm(*names, **how)) as server:
        yield server


def main():
    flags = argparse.ArgumentParser()
    for name in ("--model", "--served-model-name", "--host"):
        flags.add_argument(name)
    flags.add_argument("--port", type=int)
    flags.add_argument("--fail", action="store_true")
    flags.add_argument("--dies-at", type=int, default=0)
    told, _ = flags.parse_known_args()
    sys.stdout.write(f"serving {told.model}\n")
    sys.stdout.flush()
    if told.fail:
        sys.stdout.write(FAILURE)
        raise SystemExit(1)
    server = Vllm(told.served_model_name, port=told.port)
    server.dies_at = told.dies_at
    server.serve_forever()


if __name__ == "__main__":
    main()
