"""Handwritten digits, told apart by a small network that is trained step by step; its curves are in the run.

Needs scikit-learn. Two runs, and their curves laid over each other::

    python network.py --hidden 32 --rate 0.05 --run-id small
    python network.py --hidden 128 --rate 0.05 --run-id large
    corrida ui --open
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import corrida

options = argparse.ArgumentParser()
options.add_argument("--hidden", type=int, default=32, help="units of the hidden layer")
options.add_argument("--rate", type=float, default=0.05, help="the learning rate")
options.add_argument("--batch", type=int, default=32, help="images a step")
options.add_argument("--decay", type=float, default=1e-4, help="the L2 penalty of the weights")
options.add_argument("--epochs", type=int, default=30)
options.add_argument("--seed", type=int, default=11, help="of the weights; the images are halved in one way")
options.add_argument("--run-id")
options.add_argument("--description")
given = options.parse_args()

images = load_digits()
data = images.data / 16
learn, test = train_test_split(
    np.arange(len(images.target)), test_size=0.5, stratify=images.target, random_state=11
)
with corrida.start_run(
    run_id=given.run_id,
    pipeline="digits",
    source="digits of scikit-learn",
    description=given.description,
    seed=given.seed,
    params={name: vars(given)[name] for name in ("hidden", "rate", "batch", "decay", "epochs")},
    primary_metric="accuracy",
) as run:
    model = MLPClassifier(
        (given.hidden,),
        solver="sgd",
        learning_rate_init=given.rate,
        batch_size=given.batch,
        alpha=given.decay,
        random_state=given.seed,
    )
    classes = np.unique(images.target)
    for epoch in range(1, given.epochs + 1):
        model.partial_fit(data[learn], images.target[learn], classes=classes)
        chances = model.predict_proba(data[test])
        told = classes[chances.argmax(axis=1)]
        right = told == images.target[test]
        run.log(
            {
                "train/loss": float(model.loss_),
                "test/loss": log_loss(images.target[test], chances, labels=classes),
                "test/accuracy": float(right.mean()),
            },
            step=epoch,
        )
    run.log_items(
        {
            "item_id": f"image {number}",
            "output": str(digit),
            "expected": str(images.target[number]),
            "correct": bool(digit == images.target[number]),
            "score": round(float(chance), 4),
        }
        for number, digit, chance in zip(test, told, chances.max(axis=1), strict=True)
    )
    run.log_metrics(
        {"accuracy": float(right.mean()), "log_loss": log_loss(images.target[test], chances, labels=classes)}
    )
