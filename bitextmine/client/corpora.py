"""Corpora: upload, look at, delete."""

from __future__ import annotations

from urllib.parse import quote

from bitextmine.client.answers import answered, model, with_key
from bitextmine.client.operation import Group, Mode, listing, operation
from bitextmine.client.pages import all_items
from bitextmine.client.results import Corpus, Job, RefusedLine
from bitextmine.client.sources import Progress, Source, body_of, is_repeatable, name_of
from bitextmine.client.steps import Call, Do, Emitting, Flow

_PATH = "/v1/corpora"


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
        body = yield Do(lambda: body_of(source, progress))
        query = {"name": name, "lang": lang, "format": format, "source": file_name or name_of(source)}
        call = Call("POST", _PATH, query=query, body=body, repeatable=is_repeatable(source))
        return (yield from model(Job, with_key(call)))

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
    def delete(self, name: str) -> Flow[None]:
        """Delete a corpus and its embeddings; bitexts mined from it stay.

        Raises:
            ServiceError: `corpus-not-found`; `corpus-in-use`, a job mines it.
        """
        yield from answered(Call("DELETE", _path(name)))


def _path(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"
