"""Real text at scale: the sentences of Debian's package descriptions, translated on one side, English on the other.

Protocol: apt fetches the description files of some suites into DIR/lists (the system's own lists are only read, to
learn which mirror this machine uses). A description's paragraphs and list items are split into sentences, also at
semicolons and after a clause that ends in a colon; what is longer than 200 characters, at the comma nearest its
middle. A sentence has 10 to 500 characters (5 in Chinese and Japanese), half of them letters or more. Each side is
de-duplicated exactly; a translated description counts once, as in the first suite that has it; translated sentences
that are also English ones were left untranslated and are dropped. Both sides are shuffled with a fixed seed, so that
any prefix is a fair sample. A pair is known where a translation, by its Description-md5, has as many paragraphs as
the English and in one of them as many sentences; a sentence may be in several pairs, and a few pairs are wrong.
Writes src.txt, tgt.txt, pairs.npy (n, 2) and counts.json; `--embed ENCODER` also src.npy and tgt.npy, float16 unit
rows. The text is under the licences of Debian's packages and is not part of this project.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SUITES = (
    "experimental",
    "sid",
    "trixie",
    "trixie-backports",
    "bookworm-backports",
    "bookworm",
    "bullseye",
)  # newest first
COMPONENTS = "main contrib non-free"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# mUSE's, as Debian writes them
# fmt: off
LANGUAGES = (
    "it", "de", "fr", "es", "ja", "ru", "pt", "pt_BR", "pl",
    "nl", "ko", "tr", "zh", "zh_CN", "zh_TW", "ar", "th",
)
ABBREVIATIONS = frozenset((
    "e.g", "i.e", "etc", "vs", "z.b", "d.h", "bzw", "usw", "ca", "p.ex",
    "cf", "ex", "es", "ecc", "cioè", "no", "nr", "vol", "pág", "dr", "mr", "mrs", "st",
))
# fmt: on
LONG = 200  # characters
CLAUSE = 40  # characters before a colon that make what follows a sentence of its own
BULLET = re.compile(r"\s*(?:[-*+•·–—]|o)\s+(?=\S)")
SENTENCE_END = re.compile(r"(?<=[。！？；])|(?<=[;:])\s+|(?<=[.!?…])[\"')\]»”’]*\s+")
WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")  # Chinese, Japanese: no spaces between words
Blocks = list[list[str]]  # a description: paragraphs of sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--suites", nargs="+", default=SUITES, help="newest first")
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    parser.add_argument("--rows", type=int, default=320_000, help="of each side, where there are as many")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--embed", metavar="ENCODER", help="an installed encoder, such as muse")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    files = download(arguments.directory, arguments.suites, [*arguments.languages, "en"])
    src, tgt, pairs, languages = collect(files, arguments.languages)
    counts = {"all_src": len(src), "all_tgt": len(tgt), "all_src_by_language": dict(languages), "seed": arguments.seed}
    counts |= write_shuffled(arguments.directory, (src, tgt), pairs, arguments.rows, arguments.seed)
    (arguments.directory / "counts.json").write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(counts))
    if arguments.embed:
        for side in ("src", "tgt"):
            embed(arguments.directory / f"{side}.txt", arguments.embed, arguments.threads)


def download(directory: Path, suites: list[str], languages: list[str]) -> dict[str, list[Path]]:
    """The description files of each language, newest suite first, fetched by apt into a folder of their own."""
    lists, sources = (directory / "lists").absolute(), (directory / "apt.sources").absolute()
    lists.mkdir(exist_ok=True)
    sources.write_text(
        f"Types: deb\nURIs: {mirror()}\nSuites: {' '.join(suites)}\nComponents: {COMPONENTS}\nSigned-By: {KEYRING}\n"
    )
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::Lists": lists,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::GzipIndexes": "false",
        "Acquire::Languages": ",".join(languages),
        "APT::Update::Post-Invoke-Success::": "",
    }
    apt = ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True)
    wanted = [*apt, "indextargets", "--format", "$(RELEASE) $(LANGUAGE) $(FILENAME)", "Created-By: Translations"]
    found: dict[str, list[Path]] = {language: [] for language in languages}
    rows = [line.split(" ", 2) for line in run(wanted)]
    for _, language, name in sorted(rows, key=lambda row: suites.index(row[0])):
        if language in found and Path(name).exists():
            found[language].append(Path(name))
    return found


def mirror() -> str:
    """The Debian mirror among this machine's own sources.

    Raises:
        SystemExit: apt has no lists of a Debian suite.
    """
    for line in run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]):
        origin, _, address = line.partition(" ")
        if origin == "Debian":
            return address
    raise SystemExit("apt knows of no Debian mirror: run apt-get update first")


def run(command: list[str]) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


Collected = tuple[dict[str, int], dict[str, int], set[tuple[int, int]], Counter[str]]


def collect(files: dict[str, list[Path]], languages: list[str]) -> Collected:
    """Sentences with their numbers on either side, known pairs of numbers, and source sentences by language."""
    english = first_of_each(files["en"])
    tgt = numbered(piece for blocks in english.values() for piece in pieces(blocks))
    src: dict[str, int] = {}
    pairs: set[tuple[int, int]] = set()
    counts: Counter[str] = Counter()
    for language in languages:
        before = len(src)
        for md5, blocks in first_of_each(files[language]).items():
            for piece in pieces(blocks):
                if piece not in tgt and usable(piece):
                    src.setdefault(piece, len(src))
            pairs |= {(src[a], tgt[b]) for a, b in aligned(blocks, english.get(md5, [])) if a in src and b in tgt}
        counts[language] = len(src) - before
    return src, tgt, pairs, counts


def first_of_each(files: list[Path]) -> dict[str, Blocks]:
    descriptions: dict[str, Blocks] = {}
    for file in files:
        for md5, lines in records(file):
            if md5 not in descriptions:
                descriptions[md5] = [sentences(paragraph) for paragraph in paragraphs(lines)]
    return descriptions


def records(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Description-md5 and the lines of the description, the synopsis first."""
    for stanza in file.read_text(encoding="utf-8").split("\n\n"):
        lines = stanza.split("\n")
        fields = {line.split(":", 1)[0]: i for i, line in enumerate(lines) if line[:1].strip()}
        text = next((i for name, i in fields.items() if re.fullmatch(r"Description-(?!md5)\w+", name)), None)
        if text is not None and "Description-md5" in fields:
            end = next((i for i in range(text + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
            yield (
                lines[fields["Description-md5"]].split(": ", 1)[1],
                [lines[text].split(":", 1)[1], *lines[text + 1 : end]],
            )


def paragraphs(lines: list[str]) -> Iterator[str]:
    """The synopsis, then paragraphs, list items and lines that are set apart, each in one line."""
    yield lines[0].strip()
    parts: list[str] = []
    in_item = False
    for line in lines[1:]:
        body = line[1:]
        bullet = BULLET.match(body)
        apart = body.startswith(" ") and not in_item
        if (body.strip() == "." or bullet or apart) and parts:
            yield joined(parts)
            parts = []
        if body.strip() == ".":
            in_item = False
            continue
        in_item = in_item or bullet is not None
        parts.append((body[bullet.end() :] if bullet else body).strip())
    if parts:
        yield joined(parts)


def joined(parts: list[str]) -> str:
    text = parts[0]
    for part in parts[1:]:
        text += part if WIDE.match(text[-1:]) or WIDE.match(part) else " " + part
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def sentences(paragraph: str) -> list[str]:
    """A paragraph cut where a sentence seems to end: before a capital, not after an abbreviation or an initial."""
    found: list[str] = []
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        last = paragraph[start : end.start()].rsplit(" ", 1)[-1].lstrip("(\"'").rstrip(".").lower()
        following = paragraph[end.end() : end.end() + 1]
        certain = last.endswith((";", "。", "！", "？", "；")) or (last.endswith(":") and end.start() - start >= CLAUSE)
        starts = following and not following.islower() and not last.endswith(":")
        if certain or (starts and last not in ABBREVIATIONS and len(last) > 1):
            found.append(paragraph[start : end.end()].strip())
            start = end.end()
    return [*found, rest] if (rest := paragraph[start:].strip()) else found


def pieces(blocks: Blocks) -> Iterator[str]:
    """The sentences of a description, long ones in two (such have no known pair)."""
    for sentence in (sentence for block in blocks for sentence in block):
        commas = [comma.start() for comma in re.finditer(r"(?<=,) |(?<=[、，])", sentence)]
        if len(sentence) > LONG and commas:
            cut = min(commas, key=lambda place: abs(place - len(sentence) // 2))
            yield sentence[:cut]
            yield sentence[cut:].strip()
        else:
            yield sentence


def usable(sentence: str) -> bool:
    letters = sum(map(str.isalpha, sentence))
    return (5 if WIDE.search(sentence) else 10) <= len(sentence) <= 500 and letters * 2 >= len(sentence)


def numbered(found: Iterator[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for sentence in found:
        if usable(sentence):
            numbers.setdefault(sentence, len(numbers))
    return numbers


def aligned(blocks: Blocks, english: Blocks) -> Iterator[tuple[str, str]]:
    if len(blocks) == len(english):
        for ours, theirs in zip(blocks, english, strict=True):
            if len(ours) == len(theirs):
                yield from zip(ours, theirs, strict=True)


def write_shuffled(
    directory: Path, sides: tuple[dict[str, int], dict[str, int]], pairs: set[tuple[int, int]], rows: int, seed: int
) -> dict[str, int]:
    rng = np.random.default_rng(seed)
    known = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    counts = {}
    for column, (name, side) in enumerate(zip(("src", "tgt"), sides, strict=True)):
        order, texts = rng.permutation(len(side)), list(side)
        kept = order[:rows]
        (directory / f"{name}.txt").write_text("".join(texts[i] + "\n" for i in kept), encoding="utf-8")
        known[:, column] = np.argsort(order)[known[:, column]]
        known = known[known[:, column] < rows]
        counts[name] = len(kept)
    np.save(directory / "pairs.npy", known[np.lexsort((known[:, 1], known[:, 0]))])
    return counts | {"pairs": len(known)}


def embed(file: Path, name: str, threads: int) -> None:
    from bitextmine.encoders import open_encoder
    from bitextmine.workspace import default_encoders_dir

    encoder = open_encoder(name, default_encoders_dir(), threads=threads)
    texts = file.read_text(encoding="utf-8").splitlines()
    block = 32_768
    vectors = np.empty((len(texts), encoder.dims), np.float16)
    for start in range(0, len(texts), block):
        vectors[start : start + block] = encoder.encode(texts[start : start + block])
        print(f"{file.stem}: {min(start + block, len(texts))} of {len(texts)} sentences", flush=True)
    partial = file.with_suffix(".npy.partial")
    with partial.open("wb") as out:
        np.save(out, vectors)
    partial.replace(file.with_suffix(".npy"))


if __name__ == "__main__":
    main()
