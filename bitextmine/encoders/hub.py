"""Models from the Hugging Face hub, through huggingface_hub: its cache, its settings, its resumable downloads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bitextmine.encoders.presets import HubSource
from bitextmine.errors import EncoderError, NotFoundError, is_disk_full
from bitextmine.files import file_sha256

_SECONDS_TO_ANSWER = 5.0  # an unreachable hub must fail soon
_AT_A_TIME = 4
# Configuration, tokenizer and weights: not the same model in other frameworks' formats.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "README.md"]
_UNWANTED = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*", "coreml/*", ".*"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model's files as they were at one commit."""

    path: Path
    commit: str  # 40 hexadecimal digits; "" for a local directory that does not say


def fetch_model(name: str, source: HubSource, *, offline: bool, report: Callable[[str], None]) -> Snapshot:
    """Get the model's files into the hub's cache, or find them there; what broke off is taken up again.

    Args:
        name: the encoder's, for messages.
        offline: ask the cache only; so does HF_HUB_OFFLINE=1.

    Raises:
        NotFoundError: the hub has no such model or revision (code encoder-unknown).
        EncoderError: the hub cannot be reached, or does not give the files (code hub-unreachable); the model is
            gated (code hub-refused); it has no safetensors (code export-unsupported); a file is not the one that the
            hub recorded (code checksum-mismatch). Each says what to do.
        OSError: no room on the disk.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_OFFLINE

    local = offline or HF_HUB_OFFLINE
    with _explained(name, source, offline=local):
        commit = source.revision if local else _commit(source)
        report(f"{'looking in the cache for' if local else 'fetching'} {source.repository}, revision {commit}")
        path = Path(
            snapshot_download(
                source.repository,
                revision=source.revision,  # by this name an offline pull finds it again
                allow_patterns=_WANTED,
                ignore_patterns=_UNWANTED,
                local_files_only=local,
                etag_timeout=_SECONDS_TO_ANSWER,
                max_workers=_AT_A_TIME,
            )
        )
    check_downloaded(path)
    return Snapshot(path, path.name)


def local_snapshot(directory: Path) -> Snapshot:
    """A directory made by `hf download --local-dir`, or any other; what was downloaded is checked.

    Raises:
        EncoderError: a file is not the one that the hub recorded (code checksum-mismatch).
    """
    return Snapshot(directory, check_downloaded(directory))


def check_downloaded(directory: Path) -> str:
    """Compare the files with the sha256 that the hub gave for them when they were downloaded; the commit, or "".

    A snapshot in the cache has links to files named by their sha256; `hf download --local-dir` keeps the same beside
    the files. A directory from anywhere else says nothing, and passes.

    Raises:
        EncoderError: a file is another (code checksum-mismatch).
    """
    for file in directory.rglob("*"):
        if file.is_symlink() and _SHA256.fullmatch(file.resolve().name):
            _compare(file, file.resolve().name)
    commits = set()
    records = directory / ".cache" / "huggingface" / "download"
    for record in sorted(records.rglob("*.metadata")):
        commit, _, rest = record.read_text(encoding="utf-8").partition("\n")
        commits.add(commit.strip())
        file = directory / record.relative_to(records).with_suffix("")
        etag = rest.partition("\n")[0].strip()
        if _SHA256.fullmatch(etag) and file.is_file():
            _compare(file, etag)
    return commits.pop() if len(commits) == 1 else ""


def manual_steps(name: str, source: HubSource) -> str:
    """What to do by hand, in one sentence."""
    revision = "" if source.revision == "main" else f" --revision {source.revision}"
    return (
        f"By hand: on a machine that reaches it run `hf download {source.repository}{revision} --local-dir DIR`, copy "
        f"DIR here, and run `bitextmine encoders pull {name} --from DIR`"
    )


def _commit(source: HubSource) -> str:
    """The commit that the revision is now; also finds out whether there is anything to download."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(source.repository, revision=source.revision, timeout=_SECONDS_TO_ANSWER)
    names = [sibling.rfilename for sibling in info.siblings or ()]
    if not any(name.endswith(".safetensors") for name in names):
        raise EncoderError(
            f"{source.repository} has no safetensors, only weights that can run any code when they are opened; where "
            "you trust it, load it with sentence-transformers, save it anew (save_pretrained writes safetensors), and "
            "pull that directory with --from",
            code="export-unsupported",
        )
    return str(info.sha)


@contextmanager
def _explained(name: str, source: HubSource, *, offline: bool) -> Iterator[None]:
    """Turn what huggingface_hub and its HTTP client raise into errors that say what to do."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except EncoderError:
        raise
    except GatedRepoError as error:
        message = (
            f"{source.repository} is given only to those who accept its terms: do so on its page, run `hf auth login`, "
            f"and pull {name} again"
        )
        raise EncoderError(message, code="hub-refused") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        message = f"the hub has no model {source.repository}, or it is private (`hf auth login` gives you access)"
        raise NotFoundError(message, code="encoder-unknown") from error
    except RevisionNotFoundError as error:
        message = f"{source.repository} has no revision {source.revision}"
        raise NotFoundError(message, code="encoder-unknown") from error
    except Exception as error:  # the HTTP client's errors change between versions
        if isinstance(error, OSError) and is_disk_full(error):
            raise
        reason = (
            "it is not in the cache, or not all of it, and --offline forbids fetching" if offline else _reason(error)
        )
        message = f"{source.repository} could not be fetched ({reason}). {manual_steps(name, source)}"
        raise EncoderError(message, code="hub-unreachable") from error


def _reason(error: Exception) -> str:
    """The first line of what went wrong, without the addresses and advice that follow it."""
    text = str(error.__cause__ or error).strip().partition("\n")[0]
    return f"{type(error.__cause__ or error).__name__}: {text[:200]}" if text else type(error).__name__


def _compare(file: Path, sha256: str) -> None:
    if file_sha256(file) != sha256:
        message = f"{file} is not the file that the hub has: its sha256 is another; delete it and fetch it again"
        raise EncoderError(message, code="checksum-mismatch")
