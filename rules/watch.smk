"""What tells of a run: a journal of its jobs, a message for each that fails, a table at the end."""

from collections import Counter

from scripts.watch.failure import Environment
from scripts.watch.history import History
from scripts.watch.journal import Journal
from scripts.watch.table import Watched, table

journal = Journal()


onstart:
    journal.begin(
        logger,
        planned=Counter(job.rule.name for job in workflow.dag.needrun_jobs() if job.output),
        retries=workflow.execution_settings.retries,
        environment=Environment(Path.cwd(), environment),
    )


onsuccess:
    logger.info(table(Watched.of(History.read(journal.end()))))


onerror:
    logger.info(table(Watched.of(History.read(journal.end()))))
