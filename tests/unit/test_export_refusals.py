"""What cannot be exported is refused in one line, and nothing is written that is not the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitextmine.encoders import export, parity, sentence_graph
from bitextmine.encoders.export import ExportRequest, export_model
from bitextmine.encoders.model_directory import Pooling
from bitextmine.errors import EncoderError
from tests.tiny_models import labse_like


@pytest.fixture(scope="module")
def labse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labse_like(tmp_path_factory.mktemp("labse"))


def test_a_graph_that_leaves_a_layer_out_is_refused(
    labse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_dense(model: Any, directory: Path, *, skipped: int) -> None:
        sentence_graph.write_sentence_graph(list(model)[:2], directory, skipped=skipped)

    monkeypatch.setattr(export, "write_sentence_graph", without_dense)
    with pytest.raises(EncoderError, match="differs from the original by up to") as caught:
        export_model(labse, tmp_path, ExportRequest("exported"))
    assert caught.value.code == "export-mismatch"


def test_a_graph_that_looks_at_padding_is_refused(labse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def mean_of_all(_mode: str, tokens: Any, _mask: Any, _skipped: int) -> Any:
        return torch.mean(tokens, dim=1)

    monkeypatch.setattr(sentence_graph, "_pooled", mean_of_all)
    monkeypatch.setattr(parity, "DIFFERENCE_BOUND", 10.0)
    with pytest.raises(EncoderError, match="depend on their batch") as caught:
        export_model(labse, tmp_path, ExportRequest("exported"))
    assert caught.value.code == "export-mismatch"


def test_a_tokenizer_that_cuts_otherwise_is_refused(
    labse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_another_length(model: Any, target: Path, prefix: str, max_tokens: int) -> Any:
        return written(model, target, "Q: " + prefix, max_tokens)

    written = export._write_tokenizer
    monkeypatch.setattr(export, "_write_tokenizer", of_another_length)
    export_model(labse, tmp_path, ExportRequest("exported"))  # the prefix is the card's, not the tokenizer's
    monkeypatch.setattr(parity, "_original_tokens", lambda *_: [2, 3])
    with pytest.raises(EncoderError, match="the saved tokenizer cuts") as caught:
        export_model(labse, tmp_path, ExportRequest("exported"))
    assert caught.value.code == "export-mismatch"


def test_a_model_of_other_dims_is_refused(labse: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="has 32 dims, labse has 768") as caught:
        export_model(labse, tmp_path, ExportRequest("labse", dims=768))
    assert caught.value.code == "export-mismatch"


def _drop(name: str) -> Callable[[Path], None]:
    return lambda model: (model / name).unlink()


def _pickled(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _cut(model: Path) -> None:
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(content[: len(content) // 2])


def _header(model: Path) -> None:
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(b"\xff" * 16 + content[16:])


def _lacking(model: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    del tensors["encoder.layer.1.attention.self.query.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def _dense_lacking(model: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(model / "2_Dense" / "model.safetensors")
    del tensors["linear.bias"]
    save_file(tensors, model / "2_Dense" / "model.safetensors", metadata={"format": "pt"})


def _config(**changes: object) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        (model / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")

    return change


def _modules(change: Callable[[list[dict[str, str]]], object]) -> Callable[[Path], None]:
    def rewrite(model: Path) -> None:
        modules = json.loads((model / "modules.json").read_text(encoding="utf-8"))
        change(modules)
        (model / "modules.json").write_text(json.dumps(modules), encoding="utf-8")

    return rewrite


def _index(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')


SPOILT: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "no weights": (_drop("model.safetensors"), "model-incomplete", "has no weights"),
    "no dense weights": (_drop("2_Dense/model.safetensors"), "model-incomplete", "2_Dense has no weights"),
    "a missing shard": (_index, "model-incomplete", "00001-of-00002.safetensors is missing"),
    "pickled weights": (_pickled, "export-unsupported", "as a pickle only"),
    "half a download": (_cut, "model-incomplete", "cannot be loaded"),
    "tampered weights": (_header, "model-incomplete", "cannot be loaded"),
    "a weight left out": (_lacking, "model-incomplete", r"lack encoder\.layer\.1\.attention\.self\.query\.weight"),
    "a dense bias left out": (_dense_lacking, "model-incomplete", "cannot be loaded"),
    "no tokenizer": (_drop("tokenizer.json"), "model-incomplete", "has no tokenizer"),
    "no configuration": (_drop("config.json"), "model-incomplete", r"no config\.json"),
    "no modules": (_drop("modules.json"), "export-unsupported", "--pooling"),
    "no pooling": (_drop("1_Pooling/config.json"), "model-incomplete", "cannot be loaded"),
    "other modules": (_modules(lambda modules: modules.pop(1)), "export-unsupported", "a Transformer, a Pooling, then"),
    "an unknown architecture": (
        _config(model_type="new", auto_map={"AutoModel": "modeling.NewModel"}),
        "export-unsupported",
        "code of its own, which is never run",
    ),
    "a module of its own": (
        _modules(lambda modules: modules[1].update(type="custom_st.Pooling")),
        "export-unsupported",
        "code of its own",
    ),
    "a module elsewhere": (
        _modules(lambda modules: modules[1].update(path="../elsewhere")),
        "export-unsupported",
        "a directory elsewhere",
    ),
    "other sizes": (_config(hidden_size=64), "model-incomplete", "cannot be loaded"),
    "modules that are no list": (
        lambda model: (model / "modules.json").write_text("[1]") and None,
        "model-incomplete",
        "not a list of modules",
    ),
    "no JSON": (lambda model: (model / "config.json").write_text("{") and None, "model-incomplete", "as JSON"),
    "an adapter": (
        lambda model: (model / "adapter_config.json").write_text("{}") and None,
        "export-unsupported",
        "merge_and_unload",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_model_is_refused_in_one_line(how: str, labse: Path, tmp_path: Path) -> None:
    spoil, code, message = SPOILT[how]
    source, target = tmp_path / "model", tmp_path / "encoder"
    shutil.copytree(labse, source)
    target.mkdir()
    spoil(source)
    with pytest.raises(EncoderError, match=message) as caught:
        export_model(source, target, ExportRequest("exported"))
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="there is no directory"):
        export_model(tmp_path / "nowhere", tmp_path, ExportRequest("exported"))


def test_a_pooling_is_for_plain_models_only(labse: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="for models without one only"):
        export_model(labse, tmp_path, ExportRequest("exported", pooling=Pooling.MEAN))


def test_without_the_extra_the_error_says_how_to_install_it(
    labse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"pip install 'bitextmine\[export\]'") as caught:
        export_model(labse, tmp_path, ExportRequest("exported"))
    assert caught.value.code == "export-not-installed"
