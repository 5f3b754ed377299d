"""One matrix run on a Ray cluster of two nodes, killed again and again, against the same run left alone.

    python benchmarks/matrix_killed.py [--rows 20000] [--corpora 6] [--kills 5] [--seed 1] [--encoder NAME]

Protocol: corpora of numbered sentences, shards of a quarter of a corpus, all pairs. The run that is left alone has one
process. The other runs on Ray, two nodes of one core each on this machine; at random moments (a seeded number of
artifacts that have been made) there is a kill -9, in turn of a Ray worker process that has a task, of a whole node
(another is started in its place), and of the command (which is given again). In the end every bitext has to be the
same byte for byte, and no artifact may be in the stage log twice. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from signature import signature, write

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.matrix.stage_log import StageLine, read_stage_log
from bitextmine.preparation.parameters import DEFAULT_BOUNDS
from tests.integration.ray_nodes import RayCluster, ray_cluster
from tests.tiny_encoder import build_tiny_encoder

LANGUAGES = ("de", "en", "fr", "ru", "ar", "zh")
WORDS = ("Haus", "house", "maison", "дом", "بيت", "房子")
SHARDS = 4


class Run:
    """The command, in a data directory of its own."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str], *options: str) -> None:
        self.folder, self._options = folder / name, options
        self._environment = {**os.environ, **environment, "BITEXTMINE_DATA_DIR": str(self.folder)}
        self._config = folder / "run.toml"
        self.started = time.monotonic()
        self.commands = 0
        self.process = self.give()

    def give(self) -> subprocess.Popen[bytes]:
        self.commands += 1
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bitextmine", "matrix", str(self._config), *self._options], env=self._environment
        )
        return self.process

    def log(self) -> list[StageLine]:
        return [line for log in self.folder.glob("matrices/*/log") for line in read_stage_log(log)]

    def bitexts(self) -> dict[str, str]:
        """SHA-256 of each pair's file."""
        store, found = ArtifactStore(self.folder / "artifacts"), {}
        for report in self.folder.glob("matrices/*/report.json"):
            for pair in json.loads(report.read_text())["pairs"]:
                artifact = store.open("bitext", pair["result"]["bitext"])
                if artifact is None:
                    raise SystemExit(f"{pair['src']}-{pair['tgt']} has no bitext")
                found[f"{pair['src']}-{pair['tgt']}"] = hashlib.sha256(Bitext(artifact).path.read_bytes()).hexdigest()
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--corpora", type=int, default=6, choices=range(2, len(LANGUAGES) + 1))
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encoder", help="an installed one; else one of random vectors")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="matrix-killed-") as name:
        found = measure(Path(name), args)
    write(args.json, signature(**{name: value for name, value in vars(args).items() if name != "json"}), [found])
    print(json.dumps(found, indent=1))
    return 0 if found["identical"] and not found["made_twice"] else 1


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Both runs, and how they compare."""
    token = secrets.token_hex(32)
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    if not args.encoder:
        build_tiny_encoder(folder / "encoders" / "tiny")
        environment["BITEXTMINE_ENCODERS_DIR"] = str(folder / "encoders")
    write_corpora(folder, args)
    alone = Run(folder, "alone", environment)
    finished(alone)
    alone_seconds, made = time.monotonic() - alone.started, len(alone.log())
    moments = sorted(random.Random(args.seed).sample(range(1, made - 1), args.kills))
    with ray_cluster(token) as cluster:
        cluster.add_node()
        options = ("--executor", "ray", "--address", cluster.address, "--threads", "1", "--memory", "1GB")
        killed = Run(folder, "killed", environment, *options)
        kills = [kill(number, moment, killed, cluster) for number, moment in enumerate(moments)]
        finished(killed)
    digests = [line.digest for line in killed.log()]
    return {
        "pairs": len(alone.bitexts()),
        "identical": alone.bitexts() == killed.bitexts(),
        "made": made,
        "made_twice": len(digests) - len(set(digests)),
        "kills": kills,
        "commands": killed.commands,
        "seconds_alone": round(alone_seconds, 1),
        "seconds_killed": round(time.monotonic() - killed.started, 1),
    }


def write_corpora(folder: Path, args: argparse.Namespace) -> None:
    rules = ", ".join(f"{name} = false" for name in DEFAULT_BOUNDS)
    lines = [f'encoder = "{args.encoder or "tiny"}"', 'filters = "none"', "[preparation]", 'split = "never"']
    lines += ['near_duplicates = "keep"', f"rules = {{{rules}}}", f"shard_rows = {-(-args.rows // SHARDS)}"]
    for lang, word in list(zip(LANGUAGES, WORDS, strict=True))[: args.corpora]:
        text = "".join(f"{word} {n} station {n * 37 % 101} museum {n * n % 997}\n" for n in range(args.rows))
        (folder / f"{lang}.txt").write_text(text, encoding="utf-8")
        lines += [f"[corpora.{lang}]", f'files = ["{lang}.txt"]']
    (folder / "run.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def kill(number: int, moment: int, run: Run, cluster: RayCluster) -> dict[str, Any]:
    """One kill, once so many artifacts have been made; what was killed, and when."""
    while len(run.log()) < moment:
        if run.process.poll() is not None:
            raise SystemExit(f"the run ended with {run.process.returncode} before kill {number + 1}")
        time.sleep(0.02)
    victim = ("worker process", "node", "command")[number % 3]
    if victim == "worker process":
        kill_a_worker(cluster)
    elif victim == "node":
        cluster.nodes.pop().kill()
        cluster.add_node()
    else:
        run.process.kill()
        run.process.wait()
        run.give()
    return {"victim": victim, "made": moment, "second": round(time.monotonic() - run.started, 1)}


def kill_a_worker(cluster: RayCluster) -> None:
    while True:
        for node in cluster.nodes:
            for process in node.processes:
                if "TaskActor" in " ".join(process.cmdline()):
                    process.kill()
                    return


def finished(run: Run) -> None:
    if status := run.process.wait(timeout=1800):
        raise SystemExit(f"the run ended with {status}")


if __name__ == "__main__":
    sys.exit(main())
