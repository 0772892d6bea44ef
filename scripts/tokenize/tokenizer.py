"""Make the tokenizer: a byte-level BPE trained on the selection, or a copy of an existing one.

The artifact is a Hugging Face tokenizer folder; its counts hold the vocabulary's size and the ids
of the special tokens, so that nobody else has to load it for those.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from scripts.common import canonical, layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.tokenize import Tokenizer as Wanted
from scripts.common.errors import UserError
from scripts.tokenize.folder import tokenizer_files
from scripts.tokenize.sample import Shard, sample

log = logging.getLogger(__name__)

BOS = "<|bos|>"
EOS = "<|eos|>"
# Qwen2's: like GPT-4's, with single digits; one that fast encoders know.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PROBE = "Tokens: naïve “quotes”, 1234567 + 89,\n\tdef f(x):\n\t\treturn x  # 数学 🙂\n"


class Settings(Model):
    tokenizer: Wanted
    sources: dict[Name, int]  # number of shards of each source to sample; none for a copy


def train(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of at most ``vocabulary`` tokens; digits stay single tokens.

    It starts every text with ``<|bos|>`` unless told ``add_special_tokens=False``.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),  # any text has an encoding
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A $B",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
    )


def load(folder: Path) -> PreTrainedTokenizerFast:
    """Load a Hugging Face tokenizer from a folder, never running code from it.

    Raises UserError where there is none, it needs code of its own, or lacks what documents need.
    """
    if not folder.is_dir():
        raise UserError(
            f"tokenizer.path: {folder} is no folder: give one that AutoTokenizer loads "
            "(tokenizer.json, tokenizer_config.json)"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.as_posix(), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # a damaged file raises whatever its parser does
        raise UserError(
            f"tokenizer.path: {folder} does not load as a tokenizer ({error}): it must load "
            "without trust_remote_code"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"tokenizer.path: {folder} has no fast tokenizer: save it as tokenizer.json"
        )
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"tokenizer.path: {folder} has no eos token, which ends every document: "
            "set eos_token in tokenizer_config.json"
        )
    return tokenizer


def build(draft: Draft, shards: Mapping[str, Sequence[Shard]], settings: Settings) -> None:
    """Write the tokenizer folder, and check that what was written encodes as what was made."""
    wanted = settings.tokenizer
    if wanted.path is not None:
        made = load(Path(wanted.path))
    else:
        assert wanted.vocabulary is not None  # the config's model sees to it
        made = train(_texts(shards, wanted.sample_bytes), wanted.vocabulary)
    made.save_pretrained(draft.folder.as_posix())
    written = load(draft.folder)
    if written(_PROBE)["input_ids"] != made(_PROBE)["input_ids"]:
        raise UserError(
            f"tokenizer {wanted.name!r} encodes otherwise once saved and loaded again: "
            "convert it to a tokenizer.json first"
        )
    size = max(written.get_vocab().values()) + 1  # ids may have gaps
    draft.counts.update(bos=written.bos_token_id, eos=written.eos_token_id, vocabulary=size)
    if wanted.vocabulary is not None and size != wanted.vocabulary:
        log.warning(
            "tokenizer.vocabulary: %d wanted, the sample yields %d", wanted.vocabulary, size
        )
    log.info("%s: %d tokens", wanted.name, size)


def _texts(shards: Mapping[str, Sequence[Shard]], sample_bytes: int) -> list[str]:
    texts = list(sample(shards, sample_bytes))
    if not texts:
        raise UserError(
            "no selected document fits tokenizer.sample_bytes: raise it, or loosen `select`"
        )
    return texts


def main() -> None:
    settings = parse_settings(Settings, parser(__doc__).parse_args().settings)
    inputs = {
        source: [
            (layout.documents(source, shard), layout.selection(source, shard))
            for shard in range(shards)
        ]
        for source, shards in sorted(settings.sources.items())
    }
    files = tokenizer_files(Path(settings.tokenizer.path)) if settings.tokenizer.path else []
    make(
        lambda draft: build(draft, _load_all(inputs), settings),
        output=layout.tokenizer(settings.tokenizer.name),
        module="scripts.tokenize.tokenizer",
        settings={
            **settings.model_dump(mode="json"),
            "files": {file.name: canonical.sha256_file(file) for file in files},
        },
        inputs=[path for pairs in inputs.values() for pair in pairs for path in pair],
    )


def _load_all(inputs: Mapping[str, Sequence[tuple[Path, Path]]]) -> dict[str, list[Shard]]:
    return {
        source: [(Artifact.load(documents), Artifact.load(chosen)) for documents, chosen in pairs]
        for source, pairs in inputs.items()
    }


if __name__ == "__main__":
    run(main)
