"""Handwritten digits, told apart by their nearest neighbours; each call is a run.

Needs scikit-learn. Two runs, and whether the second is better::

    python digits.py --neighbors 1 --run-id one
    python digits.py --neighbors 3 --weights distance --run-id three
    corrida compare one three --slices auto
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

import corrida

options = argparse.ArgumentParser()
options.add_argument("--neighbors", type=int, default=1)
options.add_argument("--weights", choices=["uniform", "distance"], default="uniform")
options.add_argument("--split", type=int, default=11, help="the seed that halves the 1,797 images")
options.add_argument("--run-id")
given = options.parse_args()

images = load_digits()
learn, test = train_test_split(
    range(len(images.target)), test_size=0.5, stratify=images.target, random_state=given.split
)
with corrida.start_run(
    run_id=given.run_id,
    pipeline="digits",
    source="digits of scikit-learn",
    seed=given.split,
    params={"neighbors": given.neighbors, "weights": given.weights},
    primary_metric="accuracy",
) as run:
    model = KNeighborsClassifier(given.neighbors, weights=given.weights)
    model.fit(images.data[learn], images.target[learn])
    told = model.predict(images.data[test])
    right = told == images.target[test]
    run.log_items(
        {
            "item_id": f"image {number}",
            "output": str(digit),
            "expected": str(images.target[number]),
            "correct": bool(digit == images.target[number]),
        }
        for number, digit in zip(test, told, strict=True)
    )
    run.log_metrics({"accuracy": float(right.mean())})
