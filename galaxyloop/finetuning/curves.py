"""What one number cannot show: curves over thresholds, confusions, and the worst mistakes."""

import numpy as np
import pandas as pd

from galaxyloop.finetuning.targets import Target


def roc_curves(predictions: pd.DataFrame, target: Target) -> pd.DataFrame:
    """True against false positive rate at each threshold on the probability.

    Args:
        predictions: what ``targets.prediction_table`` gives.
        target: of classes.

    Returns:
        ``class``, ``threshold``, ``false_positive_rate``, ``true_positive_rate``; of two classes
        the positive one, of more each against the rest, where some galaxies are of it and some
        are not. Thresholds fall; the first, infinity, finds no galaxy.
    """
    from sklearn.metrics import roc_curve

    parts = []
    for name, is_class, probability in _one_against_rest(predictions, target):
        false, true, threshold = roc_curve(is_class, probability)
        rates = {"false_positive_rate": false, "true_positive_rate": true}
        parts.append(pd.DataFrame({"class": name, "threshold": threshold} | rates))
    columns = ["class", "threshold", "false_positive_rate", "true_positive_rate"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def precision_recall_curves(predictions: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Precision (purity) against recall (completeness) at each threshold on the probability.

    Args:
        predictions: what ``targets.prediction_table`` gives.
        target: of classes.

    Returns:
        ``class``, ``threshold``, ``recall``, ``precision``, with the classes of ``roc_curves``.
        Thresholds rise; the last, infinity, finds no galaxy, where precision is 1 by convention.
    """
    from sklearn.metrics import precision_recall_curve

    parts = []
    for name, is_class, probability in _one_against_rest(predictions, target):
        precision, recall, threshold = precision_recall_curve(is_class, probability)
        values = {"threshold": np.append(threshold, np.inf), "recall": recall}
        parts.append(pd.DataFrame({"class": name} | values | {"precision": precision}))
    columns = ["class", "threshold", "recall", "precision"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def confusion_matrix(predictions: pd.DataFrame, target: Target) -> pd.DataFrame:
    """How many galaxies of each class (rows) were predicted to be of each class (columns).

    Args:
        predictions: what ``targets.prediction_table`` gives.
        target: of classes.

    Returns:
        Whole counts that sum to the number of galaxies; index ``label``, columns ``prediction``,
        both in the classes' order.
    """
    n_classes = len(target.classes)
    truth = target.encode(predictions["label"]).astype(np.int64)
    guess = target.encode(predictions["prediction"]).astype(np.int64)
    counts = np.bincount(truth * n_classes + guess, minlength=n_classes**2)
    return pd.DataFrame(
        counts.reshape(n_classes, n_classes),
        index=pd.Index(target.classes, name="label"),
        columns=pd.Index(target.classes, name="prediction"),
    )


def most_confident_mistakes(predictions: pd.DataFrame, n_shown: int) -> pd.DataFrame:
    """The galaxies that were predicted wrong with the highest probability, worst first.

    Often the label is at fault: they are the first to look at. For regression the galaxies with
    the largest absolute error.

    Args:
        predictions: what ``targets.prediction_table`` gives.
        n_shown: how many at most.

    Returns:
        ``id_str``, ``label``, ``prediction``, and ``confidence`` (probability of the prediction)
        or for regression ``error`` (predicted less true).
    """
    columns = ["id_str", "label", "prediction"]
    if not any(name.startswith("probability-") for name in predictions.columns):
        ranked = predictions.assign(error=predictions["prediction"] - predictions["label"])
        ranked = ranked.assign(size=ranked["error"].abs())
        shown = ranked.sort_values(["size", "id_str"], ascending=[False, True], kind="stable")
        return shown.head(n_shown)[[*columns, "error"]].reset_index(drop=True)
    wrong = predictions[predictions["label"] != predictions["prediction"]]
    confidence = [row[f"probability-{row['prediction']}"] for _, row in wrong.iterrows()]
    ranked = wrong.assign(confidence=np.array(confidence, dtype=np.float64))
    shown = ranked.sort_values(["confidence", "id_str"], ascending=[False, True], kind="stable")
    return shown.head(n_shown)[[*columns, "confidence"]].reset_index(drop=True)


def _one_against_rest(
    predictions: pd.DataFrame, target: Target
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Class, which galaxies are of it, and their probability to be."""
    shown = target.classes[1:] if target.kind == "binary" else target.classes
    found = []
    for name in shown:
        is_class = (predictions["label"] == name).to_numpy()
        if is_class.any() and not is_class.all():
            found.append((name, is_class, predictions[f"probability-{name}"].to_numpy()))
    return found
