"""Models from the Hugging Face hub, through huggingface_hub: its cache, its settings, its tokens."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitextmine.encoders.download import download
from bitextmine.encoders.presets import HubSource
from bitextmine.errors import EncoderError, NotFoundError, is_disk_full
from bitextmine.files import file_sha256, locked

_SECONDS_TO_ANSWER = 10.0  # an unreachable hub must fail soon
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
    from huggingface_hub import constants, snapshot_download

    local = offline or constants.HF_HUB_OFFLINE
    with _quiet(), _explained(name, source, offline=local):
        report(f"{'looking in the cache for' if local else 'fetching'} {source.repository}, {source.revision}")
        if not local:
            info = _model_info(source)
            if not (info.private or info.gated):
                _fetch_weights(source.repository, info, report)
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


def _model_info(source: HubSource) -> Any:
    """huggingface_hub's ModelInfo of the revision; also finds out whether there is anything to download."""
    from huggingface_hub import HfApi

    info: Any = HfApi().model_info(
        source.repository, revision=source.revision, files_metadata=True, timeout=_SECONDS_TO_ANSWER
    )
    if not any(sibling.rfilename.endswith(".safetensors") for sibling in info.siblings or ()):
        raise EncoderError(
            f"{source.repository} has no safetensors, only weights that can run any code when they are opened; where "
            "you trust it, load it with sentence-transformers, save it anew (save_pretrained writes safetensors), and "
            "pull that directory with --from",
            code="export-unsupported",
        )
    return info


def _fetch_weights(repository: str, info: Any, report: Callable[[str], None]) -> None:
    """Put the large files into the hub's cache before huggingface_hub looks for them there.

    It begins a file anew when a download broke off; this goes on, also where another process died. The cache has a
    file under its sha256. Only for what is public: there is no token in these requests.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    with locked(blobs, wait=True):
        for sibling in info.siblings:
            name = sibling.rfilename
            if not name.endswith(".safetensors") or sibling.lfs is None or (blobs / sibling.lfs.sha256).is_file():
                continue
            arrived = blobs / f"{sibling.lfs.sha256}.arrived"
            if not arrived.is_file():
                report(f"{name}: {sibling.lfs.size / 1e6:,.0f} MB")
                download(hf_hub_url(repository, name, revision=info.sha), arrived, report)
            if file_sha256(arrived) != sibling.lfs.sha256:
                arrived.unlink()
                message = f"{name} of {repository} arrived with another sha256 than the hub gives for it; pull again"
                raise EncoderError(message, code="checksum-mismatch")
            arrived.rename(blobs / sibling.lfs.sha256)


@contextmanager
def _explained(name: str, source: HubSource, *, offline: bool) -> Iterator[None]:
    """Turn what huggingface_hub and its HTTP client raise into errors that say what to do."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except EncoderError as error:
        if error.code != "encoder-download-failed":
            raise
        message = f"{error}; what has arrived is kept: run it again. {manual_steps(name, source)}"
        raise EncoderError(message, code="hub-unreachable") from error
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a remark for every attempt that is repeated, and with progress bars on a terminal only."""
    import huggingface_hub

    utils: Any = huggingface_hub.utils
    before, bars = utils.logging.get_verbosity(), not utils.are_progress_bars_disabled()
    utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.logging.set_verbosity(before)
        if bars:
            utils.enable_progress_bars()


def _reason(error: Exception) -> str:
    """The first line of what went wrong, without the addresses and advice that follow it."""
    text = str(error.__cause__ or error).strip().partition("\n")[0]
    return f"{type(error.__cause__ or error).__name__}: {text[:200]}" if text else type(error).__name__


def _compare(file: Path, sha256: str) -> None:
    if file_sha256(file) != sha256:
        message = f"{file} is not the file that the hub has: its sha256 is another; delete it and fetch it again"
        raise EncoderError(message, code="checksum-mismatch")
