"""Search while someone waits: the nearest sentences of named corpora, with the margins that a mining job would give.

searchable    SearchableCorpus: a corpus, its vectors by one encoder, and its index where it is large
search_index  that index, as an artifact
sentences     SentenceReader: the text and provenance of hits
filters       Filter: the rows of some documents or with some metadata
holdings      Holdings: what a workspace has, noticed as it changes (watched): names, mined pairs
opened        OpenCorpora: a bounded number of searchable corpora for all workspaces
means         neighbourhood means of hits: stored by a mining job, or computed and kept
engine        SearchEngine: from a request and its vectors to hits
"""
