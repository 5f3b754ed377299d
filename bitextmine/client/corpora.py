"""Corpora: upload, look at, delete."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from bitextmine.client.answers import answered, model, with_key
from bitextmine.client.corpus_results import Corpus, Index, RefusedLine, Statistics
from bitextmine.client.mining import given
from bitextmine.client.operation import Group, Mode, listing, operation
from bitextmine.client.pages import all_items
from bitextmine.client.results import Answer, Job
from bitextmine.client.sources import Progress, Source, body_of, name_of
from bitextmine.client.steps import Body, Call, Do, Emitting, Flow, Query
from bitextmine.client.uploads import PIECE_BYTES, begun, sent

_PATH = "/v1/corpora"
IN_PIECES_BYTES = PIECE_BYTES  # larger files go in pieces


class _Indexes(Answer):
    items: list[Index]


class Corpora(Group[Mode]):
    """`client.corpora`"""

    @operation
    def upload(
        self,
        source: Source,
        *,
        name: str,
        lang: str,
        format: str | None = None,
        file_name: str | None = None,
        progress: Progress | None = None,
    ) -> Flow[Job]:
        """Upload a corpus, one sentence a line, and return the job that makes it ready to mine: see `jobs.wait`.

        A large file goes in pieces, so that a connection that breaks off costs little.

        Args:
            source: A path, bytes, or an open binary file; plain, or compressed with gzip, xz or zstd.
            name: A name for the corpus, not taken yet: 1 to 64 of a-z, 0-9, '.', '_', '-'.
            lang: Its language: de, deu, deu_Latn, zh-Hans ...
            format: How a line holds its sentence (text, jsonl ...); told by the file's name if absent.
            file_name: Kept as provenance; the source's own by default.
            progress: Called as progress("upload", bytes sent, bytes in all or None).

        Raises:
            ServiceError: `corpus-exists`, `upload-too-large`, `unknown-language` ...
            CorpusInputError: `file-not-found`.
        """
        query = {"name": name, "lang": lang, "format": format, "source": file_name or name_of(source)}
        return (yield from sent_file(_PATH, query, source, progress))

    @operation
    def append(
        self,
        name: str,
        source: Source,
        *,
        format: str | None = None,
        file_name: str | None = None,
        progress: Progress | None = None,
    ) -> Flow[Job]:
        """Append a file to a corpus, which makes a new version of it; only sentences that it has not are embedded.

        Args:
            name: The corpus.
            source: As for `upload`, as are the others.
            format: How a line holds its sentence.
            file_name: Kept as provenance.
            progress: Called as progress("upload", bytes sent, bytes in all or None).

        Raises:
            ServiceError: `corpus-not-found`, `upload-too-large` ...
            CorpusInputError: `file-not-found`.
        """
        query = {"format": format, "source": file_name or name_of(source)}
        return (yield from sent_file(f"{_path(name)}/append", query, source, progress))

    @operation
    def take(self, path: str, *, name: str, lang: str, format: str | None = None) -> Flow[Job]:
        """Make a corpus of a file of the server, below a directory that the service allows imports from.

        Raises:
            ServiceError: `corpus-exists`; `scope-missing`, it takes a key with the scope admin ...
        """
        query = {"name": name, "lang": lang, "format": format, "path": path}
        return (yield from model(Job, with_key(Call("POST", _PATH, query=query))))

    @listing
    def list(self) -> Emitting[Corpus]:
        """The corpora that are ready, in alphabetical order."""
        yield from all_items(Corpus, _PATH, {})

    @operation
    def get(self, name: str) -> Flow[Corpus]:
        """One corpus: its language, and what became of the lines of its file.

        Raises:
            ServiceError: `corpus-not-found`.
        """
        return (yield from model(Corpus, Call("GET", _path(name))))

    @listing
    def refused(self, name: str) -> Emitting[RefusedLine]:
        """The lines of the corpus's file that could not be used.

        Raises:
            ServiceError: `corpus-not-found`.
        """
        yield from all_items(RefusedLine, f"{_path(name)}/refused", {})

    @operation
    def statistics(self, name: str) -> Flow[Statistics]:
        """What a corpus is like: lengths, languages and scripts of its sentences, what was refused or repeated.

        Raises:
            ServiceError: `corpus-not-found`.
        """
        return (yield from model(Statistics, Call("GET", f"{_path(name)}/statistics")))

    @operation
    def index(
        self, name: str, *, encoder: str | None = None, allow_uncovered_languages: bool | None = None
    ) -> Flow[Job]:
        """Make a corpus searchable by an encoder: its sentences are embedded, and indexed if they are many.

        Raises:
            ServiceError: `corpus-not-found`, `encoder-not-installed`, `language-not-covered`, `too-many-jobs` ...
        """
        wanted = given({"encoder": encoder, "allow_uncovered_languages": allow_uncovered_languages})
        return (yield from model(Job, with_key(Call("POST", f"{_path(name)}/indexes", json=wanted))))

    @operation
    def indexes(self, name: str) -> Flow[Sequence[Index]]:
        """The encoders that a corpus has vectors by.

        Raises:
            ServiceError: `corpus-not-found`.
        """
        found = yield from model(_Indexes, Call("GET", f"{_path(name)}/indexes"))
        return found.items

    @operation
    def delete(self, name: str) -> Flow[None]:
        """Delete a corpus and its embeddings; bitexts mined from it stay.

        Raises:
            ServiceError: `corpus-not-found`; `corpus-in-use`, a job mines it.
        """
        yield from answered(Call("DELETE", _path(name)))


def sent_file(path: str, query: Query, source: Source, progress: Progress | None) -> Flow[Job]:
    """Send a file to a path, as the body or, if it is large, in pieces before."""
    body: Body = yield Do(lambda: body_of(source, progress))
    if body.size is None or body.size <= IN_PIECES_BYTES:
        return (yield from model(Job, with_key(Call("POST", path, query=query, body=body, repeatable=body.repeatable))))
    name = query["source"]
    upload = yield from begun(body.size, name if isinstance(name, str) else None)
    yield from sent(upload.id, body)
    return (yield from model(Job, with_key(Call("POST", path, query={**query, "upload": upload.id}))))


def _path(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"
