"""What MLflow loads a registered model from: it stands in the model's folder and runs alone there.

Everything it needs is the library, whose code lies beside it. A refusal of a request becomes
MLflow's error for invalid input, which its scoring server answers with status 400.
"""

import os
from pathlib import Path
from typing import Any, cast

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext

_SERVES_HTTP = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
"""MLflow's scoring server sets it."""


class ServingModel(PythonModel):
    """The catalogue's columns for encoded images in a data frame, or for cutouts in an array."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the checkpoint, if it is the one that was registered."""
        from galaxyloop.posterior import PosteriorConfig
        from galaxyloop.serving import ServedModel

        settings = dict(context.model_config)
        expected, max_image_px = settings.pop("checkpoint_digest"), settings.pop("max_image_px")
        posterior = PosteriorConfig.from_dict(settings)
        checkpoint = Path(context.artifacts["checkpoint"])
        self._served = ServedModel.open(checkpoint, posterior, expected, max_image_px)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Rows of the catalogue, in the order of the request.

        Raises:
            MlflowException: the request cannot be answered; nothing of it is.
        """
        from galaxyloop.errors import RequestError

        given = cast(object, model_input)  # an array, where the signature is of a tensor
        try:
            if isinstance(given, np.ndarray):
                answer = self._served.predict_cutouts(given)
            else:
                answer = self._served.predict_images(model_input)
        except RequestError as refusal:
            raise MlflowException.invalid_parameter_value(str(refusal)) from refusal
        return _for_json(answer) if os.environ.get(_SERVES_HTTP) == "true" else answer


def _for_json(answer: pd.DataFrame) -> pd.DataFrame:
    """Null where a number is not known: JSON has no NaN."""
    unknown = [name for name in answer.columns if answer[name].isna().any()]
    nullable = answer[unknown].astype(object)
    return answer.assign(**nullable.where(nullable.notna(), None))


mlflow.models.set_model(ServingModel())
