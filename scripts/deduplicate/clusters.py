"""Cluster all documents that are the same or nearly the same, and name the one of each to keep.

Kept is the preferred document of a cluster: a held-out one before any other, then one of an earlier
source in the preference, then the one with the lower id. A member ``{source}.parquet`` says for
each training document, by shard and row, whether it is dropped and why (``kind``, null if it is
kept: ``heldout`` if its keeper is held out, else ``exact`` if it has the keeper's text, else
``fuzzy``) and for which ``keeper``. The order of jobs and the number of shards change no document's
fate; signatures are held in memory, about 0.6 kB a document.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config import Model, Name
from scripts.common.errors import UserError
from scripts.deduplicate.lsh import fuzzy_roots

log = logging.getLogger(__name__)

KINDS = ("exact", "fuzzy", "heldout")
_EXACT, _FUZZY, _HELDOUT = range(len(KINDS))
_KEPT = -1

SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kind", pa.string()),  # null where kept
        pa.field("keeper", pa.int64()),  # null where kept
    ]
)


class Settings(Model):
    """``preference`` lists the sources, best first; ``shards`` says how many each has."""

    bands: Annotated[int, Field(gt=0)]
    rows: Annotated[int, Field(gt=0)]
    preference: list[Name]
    shards: dict[Name, Annotated[int, Field(gt=0)]]

    def signatures(self) -> dict[tuple[str, int], str]:
        raise NotImplementedError


@dataclass(frozen=True)
class Signatures:
    """The signatures of many documents, as arrays with a row for each.

    source: int64 index into the preference. shard: int32. id: int64. heldout: bool. exact: void
    [16 bytes]. minhash: uint32 [documents, permutations]. wordless: bool, no MinHash there.
    """

    source: NDArray[np.int64]
    shard: NDArray[np.int32]
    id: NDArray[np.int64]
    heldout: NDArray[np.bool_]
    exact: NDArray[np.void]
    minhash: NDArray[np.uint32]
    wordless: NDArray[np.bool_]
