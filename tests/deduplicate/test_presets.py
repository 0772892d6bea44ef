"""The presets of the configuration against datasketch's own choice, and what is refused."""

import pytest
from datasketch.lsh import MinHashLSH
from pydantic import ValidationError

from scripts.common.config.deduplicate import PRESETS, Deduplicate, Lsh


def test_preset_128_is_what_datasketch_takes() -> None:
    preset = PRESETS["128"]
    index = MinHashLSH(threshold=preset.similarity, num_perm=preset.signature_length)
    assert (index.b, index.r) == (preset.bands, preset.rows)
    assert preset.similarity == 0.8


def test_preset_14x8_uses_all_values_at_the_implied_threshold() -> None:
    preset = Deduplicate(preference=[]).banding
    assert preset == PRESETS["14x8"]
    assert preset.signature_length == 112
    assert preset.similarity == pytest.approx(0.7191, abs=1e-4)


def test_bands_of_ones_own() -> None:
    given = {"bands": 4, "rows": 2, "permutations": 10, "threshold": 0.6}
    banding = Deduplicate.model_validate({"preference": [], "lsh": given}).banding
    assert (banding.signature_length, banding.similarity) == (10, 0.6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lsh": {"bands": 4, "rows": 2, "permutations": 7}}, "need 8 permutations, not 7"),
        ({"lsh": "16x8"}, "'14x8' or '128'"),
        ({"lines": "sentence"}, "'none', 'paragraph' or 'line'"),
        ({"semantic": {"path": "x", "clusters": 0}}, "greater than 0"),
    ],
)
def test_wrong_values_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Deduplicate.model_validate({"preference": [], **values})


def test_lsh_is_no_more_than_it_says() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Lsh.model_validate({"bands": 1, "rows": 1, "hashes": 3})
