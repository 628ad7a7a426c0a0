"""How predictions are scored: multi-label F1 and average precision."""

import numpy as np

THRESHOLD = 0.5
"""A task is predicted where its score is above this."""

PRIMARY_METRIC = "micro_f1"


def multilabel_metrics(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Scores of multi-label predictions.

    Args:
        truth: zeros and ones [n, tasks].
        scores: probabilities [n, tasks].

    Returns:
        `micro_f1` and `macro_f1` at the threshold, `pr_auc`: mean average precision. Macro
        figures are taken over the tasks that occur in `truth`.

    Raises:
        ValueError: there is no row.
    """
    from sklearn.metrics import average_precision_score, f1_score

    if len(truth) == 0:
        raise ValueError("no rows to score")
    predicted = scores > THRESHOLD
    present = truth.any(axis=0)
    return {
        "micro_f1": float(f1_score(truth, predicted, average="micro", zero_division=0)),
        "macro_f1": float(
            f1_score(truth[:, present], predicted[:, present], average="macro", zero_division=0)
        ),
        "pr_auc": float(
            average_precision_score(truth[:, present], scores[:, present], average="macro")
        ),
    }
