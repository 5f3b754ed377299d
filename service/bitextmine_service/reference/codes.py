"""The codes that each route's errors can have, and what the details beside them read like."""

from __future__ import annotations

EVERYWHERE = "key-missing key-invalid key-expired scope-missing invalid-request rate-limited internal-error"
_ENCODER = "encoder-unknown encoder-not-installed encoder-unusable provider-unavailable invalid-parameter"
_COMPUTED = "body-too-large queue-full service-stopping artifact-damaged"
_STORE = "store-unavailable"
_JOB = "too-many-jobs idempotency-key-in-use idempotency-key-spent idempotency-key-reused store-unavailable"
_SEARCHED = (
    "corpus-not-found corpus-not-embedded corpus-not-indexed unknown-language language-not-covered background-language"
)
_UPLOAD = "upload-not-found upload-expired upload-locked"
_FILE = (
    "upload-too-large upload-stalled disk-full empty-corpus unsupported-input upload-incomplete upload-in-use "
    f"unknown-language invalid-parameter {_UPLOAD}"
)
_IMPORT = "imports-off import-refused file-not-found quota-exceeded"

CODES: dict[str, str] = {
    "create_embeddings": f"{_ENCODER} {_COMPUTED} dimensions-unsupported",
    "list_models": "",
    "get_model": "encoder-unknown encoder-not-installed encoder-unusable invalid-parameter",
    "search": f"{_ENCODER} {_COMPUTED} {_SEARCHED} vectors-mismatch search-too-large too-many-corpora "
    f"background-needed {_STORE}",
    "score": f"{_ENCODER} {_COMPUTED} {_SEARCHED} background-needed k-too-large corpus-too-small search-too-large "
    f"{_STORE}",
    "create_scoring_job": f"{_FILE} {_JOB} {_ENCODER} corpus-not-found language-not-covered background-language "
    "corpus-too-small k-too-large artifact-damaged",
    "create_corpus": f"{_FILE} {_JOB} {_IMPORT} corpus-exists",
    "append_to_corpus": f"{_FILE} {_JOB} {_IMPORT} corpus-not-found",
    "list_corpora": "invalid-cursor",
    "get_corpus": "corpus-not-found artifact-damaged",
    "delete_corpus": f"corpus-not-found corpus-in-use {_STORE}",
    "get_statistics": "corpus-not-found artifact-damaged queue-full disk-full",
    "get_refused_lines": "corpus-not-found invalid-cursor artifact-damaged",
    "describe_uploads": "",
    "create_upload": "tus-version upload-too-large too-many-uploads invalid-upload-metadata disk-full",
    "look_at_upload": "tus-version upload-not-found upload-expired",
    "append_to_upload": f"tus-version {_UPLOAD} upload-offset upload-stalled upload-too-large unsupported-media-type "
    "checksum-unsupported invalid-upload-checksum upload-checksum-mismatch disk-full",
    "delete_upload": f"tus-version {_UPLOAD} upload-in-use {_STORE}",
    "create_index": f"{_JOB} {_ENCODER} corpus-not-found language-not-covered artifact-damaged body-too-large",
    "list_indexes": "corpus-not-found artifact-damaged",
    "create_mining_job": f"{_JOB} {_ENCODER} corpus-not-found language-not-covered k-too-large invalid-k invalid-links "
    "invalid-threshold invalid-filters same-corpus corpus-too-small memory-too-small artifact-damaged body-too-large",
    "create_matrix_job": f"{_JOB} {_ENCODER} corpus-not-found language-not-covered k-too-large invalid-k no-pairs "
    "invalid-threshold invalid-filters invalid-name invalid-parameter same-language unknown-corpus too-many-pairs "
    "same-corpus corpus-too-small memory-too-small artifact-damaged body-too-large unknown-language",
    "get_matrix_report": f"job-not-found matrix-not-found artifact-damaged {_STORE}",
    "get_matrix_page": f"job-not-found matrix-not-found artifact-damaged {_STORE}",
    "list_jobs": f"invalid-cursor {_STORE}",
    "get_job": f"job-not-found {_STORE}",
    "delete_job": f"job-not-found job-unfinished {_STORE}",
    "follow_job": f"job-not-found too-many-streams {_STORE}",
    "cancel_job": f"job-not-found job-finished {_STORE}",
    "retry_job": f"job-not-found job-unfinished job-succeeded upload-gone {_JOB}",
    "list_bitexts": "invalid-cursor",
    "get_bitext": "bitext-not-found artifact-damaged",
    "get_refused_pairs": "bitext-not-found invalid-cursor artifact-damaged",
    "get_rejected_pairs": "bitext-not-found invalid-cursor invalid-filters artifact-damaged",
    "delete_bitext": "bitext-not-found",
    "align_words_of_pairs": f"{_ENCODER} body-too-large queue-full no-token-vectors",
    "get_histogram": "bitext-not-found artifact-damaged",
    "sample_pairs": "bitext-not-found invalid-threshold artifact-damaged",
    "get_judgements": "bitext-not-found artifact-damaged",
    "put_judgements": "bitext-not-found pair-not-found too-many-judgements artifact-damaged body-too-large disk-full",
    "get_pairs": "bitext-not-found invalid-cursor invalid-threshold artifact-damaged",
    "download": "bitext-not-found invalid-export invalid-threshold artifact-damaged",
    "plan_mining_job": f"{_ENCODER} corpus-not-found memory-too-small invalid-parameter",
    "metrics": "",
    "list_encoders": "",
}
