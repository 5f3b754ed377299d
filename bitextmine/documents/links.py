"""Which document of one corpus belongs with which of the other, by their ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus, Limits, Reason
from bitextmine.corpus.cleaning import RefusedLineError, clean_text
from bitextmine.documents.order import Documents, documents_of, has_documents
from bitextmine.errors import ArtifactError, InputError, NotFoundError, ParameterError

KIND = "document-links"
_FILE = "links.jsonl"


@dataclass(frozen=True)
class DocumentLinks:
    """Links as two columns of doc_ids, each link once and in order. Many to many: a document may be in several."""

    src: pa.Array
    tgt: pa.Array

    @classmethod
    def of(cls, links: Iterable[tuple[str, str]]) -> DocumentLinks:
        """From pairs of doc_ids, which are normalised as those of corpora are.

        Raises:
            InputError: `invalid-links`: an id is none that a corpus can have.
        """
        distinct = sorted({(clean_doc_id(src), clean_doc_id(tgt)) for src, tgt in links})
        return cls(*(pa.array([link[side] for link in distinct], pa.large_string()) for side in (0, 1)))

    def __len__(self) -> int:
        return len(self.src)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentLinks) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits over all links."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line.encode())
        return digest.hexdigest()[:32]

    def publish(self, store: ArtifactStore) -> Artifact:
        """These links as an artifact, which `stored_links` finds again by its digest."""
        key = ArtifactKey(KIND, {}, {"links": self.digest})
        if (found := store.find(key)) is None:
            with store.publish(key) as staging:
                staging.summary["links"] = len(self)
                with (staging.path / _FILE).open("w", encoding="utf-8") as stream:
                    stream.writelines(self._lines())
            found = store.find(key)
        if found is None:
            raise ArtifactError(f"{KIND} {key.digest} vanished after it was published")
        return found

    def listed(self) -> list[tuple[str, str]]:
        """All links as pairs."""
        return list(zip(self.src.to_pylist(), self.tgt.to_pylist(), strict=True))

    def _lines(self) -> Iterator[str]:
        return (json.dumps(link) + "\n" for link in self.listed())


def stored_links(store: ArtifactStore, digest: str) -> DocumentLinks:
    """
    Raises:
        NotFoundError: `links-not-found`: they are not in the store.
        ArtifactError: they are damaged.
    """
    artifact = store.open(KIND, digest)
    if artifact is None:
        raise NotFoundError(f"the links {digest[:8]} between documents are gone", code="links-not-found")
    artifact.verify()
    lines = (artifact.path / _FILE).read_text(encoding="utf-8").splitlines()
    return DocumentLinks.of((src, tgt) for src, tgt in map(json.loads, lines))


def clean_doc_id(name: str) -> str:
    """A doc_id in the form that corpora keep: without spaces around it, in NFC.

    Raises:
        InputError: `invalid-links`: it is none that a corpus can have.
    """
    try:
        return clean_text(name, Limits().max_chars)
    except RefusedLineError as refusal:
        reason = "it is empty" if refusal.reason is Reason.EMPTY else refusal.detail
        raise InputError(f"a document's id cannot be {name[:60]!r}: {reason}", code="invalid-links") from None


@dataclass(frozen=True, slots=True)
class LinkedDocuments:
    """The documents of two corpora, and which of them are linked."""

    src: Documents
    tgt: Documents
    pairs: NDArray[np.int64]  # (links, 2): numbers of documents, by rising source, then target; each once
    unknown: int  # links with a document that one of the corpora does not have

    def counts(self) -> dict[str, int]:
        """What there is to say of them in a summary."""
        return {
            "src": len(self.src),
            "tgt": len(self.tgt),
            "linked": len(self.pairs),
            "unknown_links": self.unknown,
            "src_without": self.src.without,
            "tgt_without": self.tgt.without,
        }


def link_documents(src: Corpus, tgt: Corpus, links: DocumentLinks | None = None) -> LinkedDocuments:
    """The linked documents of two corpora: those that `links` names, by default those of the same doc_id.

    Links with a document that is not there are counted and left out.

    Raises:
        ParameterError: `no-documents`: a corpus has no doc_ids; `no-linked-documents`: no document is linked.
    """
    check_documents(src, tgt)
    of_src, of_tgt = documents_of(src), documents_of(tgt)
    src_names, tgt_names = (pa.array(side.names, pa.large_string()) for side in (of_src, of_tgt))
    wanted = links or DocumentLinks(src_names, src_names)
    pairs = np.stack(
        [
            pc.index_in(ids, value_set=names).fill_null(-1).to_numpy().astype(np.int64)
            for ids, names in ((wanted.src, src_names), (wanted.tgt, tgt_names))
        ],
        axis=1,
    )
    known = (pairs >= 0).all(axis=1)
    if not known.any():
        raise ParameterError(_unlinked(src, tgt, of_src, of_tgt, links), code="no-linked-documents")
    unknown = int((~known).sum()) if links is not None else 0
    return LinkedDocuments(of_src, of_tgt, np.unique(pairs[known], axis=0), unknown)


def check_documents(*corpora: Corpus) -> None:
    """
    Raises:
        ParameterError: `no-documents`: one of the corpora has no doc_ids.
    """
    for corpus in corpora:
        if not has_documents(corpus):
            message = (
                f"{corpus.source} ({corpus.lang}) has no document ids, so nothing is known to be linked; both corpora "
                'need them: JSONL with a "doc_id" on each line'
            )
            raise ParameterError(message, code="no-documents")


def _unlinked(src: Corpus, tgt: Corpus, of_src: Documents, of_tgt: Documents, links: DocumentLinks | None) -> str:
    shown = f"{src.source} has documents such as {of_src.names[0]!r}, {tgt.source} such as {of_tgt.names[0]!r}"
    if links is None:
        return f"no document id is in both corpora: {shown}; give links between them"
    return f"none of the {len(links):,} links is between documents of the corpora: {shown}"
