"""Documents: which sentences they have, which of them are linked, and what that means for pairs (docs/documents.md).

order       the documents of a corpus, in the order of its lines
links       which documents belong together, and `link_files`: how people write that down
linked      mining restricted to linked documents, or with a bonus for them
aligning    m-n sentence alignment of all linked documents, into `beads`
"""

from bitextmine.documents.aligning import AlignedDocuments, align_documents, documents_to_align
from bitextmine.documents.link_files import read_links
from bitextmine.documents.linked import DEFAULT_BONUS, MAX_BONUS, DocumentRule, DocumentUse, LinkedSearch
from bitextmine.documents.links import DocumentLinks, LinkedDocuments, check_documents, link_documents, stored_links
from bitextmine.documents.order import Documents, documents_of, whole_corpus

__all__ = [
    "DEFAULT_BONUS",
    "MAX_BONUS",
    "AlignedDocuments",
    "DocumentLinks",
    "DocumentRule",
    "DocumentUse",
    "Documents",
    "LinkedDocuments",
    "LinkedSearch",
    "align_documents",
    "check_documents",
    "documents_of",
    "documents_to_align",
    "link_documents",
    "read_links",
    "stored_links",
    "whole_corpus",
]
