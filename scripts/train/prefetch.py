"""The next batch, read while the current one is trained on."""

from concurrent.futures import Future, ThreadPoolExecutor

from scripts.train.batches import Batch, Batches


class Prefetched:
    """The batches of a phase by step, of which the next is read ahead of time in a thread.

    Those of ``batches`` are a function of the step alone: which one was read ahead changes nothing.
    """

    def __init__(self, batches: Batches, *, pinned: bool) -> None:
        """With ``pinned``, batches lie where a GPU copies them from while it computes."""
        self._batches = batches
        self._pinned = pinned
        self._thread = ThreadPoolExecutor(1, "batches")
        self._ahead: dict[int, Future[Batch]] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> Batch:
        """Return a batch, once it is read; raises what reading it raised."""
        ready = self._ahead.pop(step, None) or self._thread.submit(self._read, step)
        self._ahead.clear()
        if step + 1 < len(self):
            self._ahead[step + 1] = self._thread.submit(self._read, step + 1)
        return ready.result()

    def _read(self, step: int) -> Batch:
        batch = self._batches[step]
        return batch.pinned() if self._pinned else batch
