"""What a campaign watches: it sees a consumer among others, its peak, and an owner that does not answer."""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from support.server import until
from support.stream_watch import MIB, Watch, busiest_of, consumers_of, peak_of

FAMILY = """
import subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", code, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for code, name in ((sys.argv[1], "consume"), ("input()", "work"))]
children[0].stdout.readline()
print(children[0].pid, flush=True)
input()
"""
WORKS = "while True: pass"
HUNGRY = f"bytearray({100 * MIB}); print('fed', flush=True); input()"


class Lazy(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_only_consumers_are_weighed_and_their_peak_stays_when_they_are_gone() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY, HUNGRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert consumers_of(owner.pid) == [pid]
        watch = Watch(lambda: consumers_of(owner.pid), lambda: "")
        with watch.watching():
            until(lambda: watch.peaks.get(pid, 0) > 100 * MIB, "the peak of what it held once")
            owner.communicate("\n")
            until(lambda: not peak_of(pid), "it to be gone")
        assert watch.peaks[pid] > 100 * MIB
        assert (watch.answers, watch.silences) == (0, [])


def test_who_works_is_told_from_who_waits() -> None:
    busy, idle = (subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for code in (WORKS, "input()"))
    with busy, idle:
        try:
            until(lambda: busiest_of([idle.pid, busy.pid]) == busy.pid, "the busy one")
            assert busiest_of([busy.pid, idle.pid]) == busy.pid
        finally:
            busy.kill()
            idle.kill()


def test_an_owner_that_answers_otherwise_or_not_at_all_is_noted() -> None:
    with HTTPServer(("127.0.0.1", 0), Lazy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        watch = Watch(list, lambda: url)
        with watch.watching():
            until(lambda: watch.answers > 1, "answers")
            assert watch.silences == []
            Lazy.status = 503
            until(lambda: watch.silences, "a refusal")
            server.shutdown()
            server.server_close()
            until(lambda: "ConnectError" in watch.silences, "a silence")
            assert "503" in watch.silences
