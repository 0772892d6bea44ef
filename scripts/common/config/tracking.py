"""Where the curves of a run are shown, besides TensorBoard's files."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from scripts.common.config.base import Model


def _without_credentials(uri: str) -> str:
    if "@" in urlsplit(uri).netloc:
        raise ValueError(
            "holds credentials, and settings are shown in logs: set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD instead"
        )
    return uri


class WeightsAndBiases(Model):
    """https://wandb.ai or WANDB_BASE_URL, opened by the environment's WANDB_API_KEY."""

    project: str
    entity: str | None = None


class MLflow(Model):
    """The MLflow server at ``uri``; the environment has what opens it (MLFLOW_TRACKING_...)."""

    uri: Annotated[str, AfterValidator(_without_credentials)]
    experiment: str = "midtrain"


class Tracking(Model):
    """Trackers by name, each of them only if it is given."""

    wandb: WeightsAndBiases | None = None
    mlflow: MLflow | None = None
