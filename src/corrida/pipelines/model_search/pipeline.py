"""The model search pipeline: many models on one table, honestly split, each a child run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig, InvalidData
from corrida.pipelines.contract import Column, Data, Direction, Outcome, Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from corrida.pipelines.contract import ConfigFile
    from corrida.pipelines.model_search.predictor import ModelPredictor
    from corrida.pipelines.model_search.settings import ModelSearchConfig


class ModelSearchPipeline:
    """Searches the settings of many models, and says which are as good as the best."""

    name: str = "model_search"
    description: str = (
        "many models and their settings on one table, split without leaks; which are as good as the best"
    )
    columns: Sequence[Column] = (
        Column("target", "params.target"),
        Column("models", "metrics.models_trained"),
        Column("best model", "findings.best_model"),
        Column("test R²", "metrics.test_r2"),
        Column("test MAE", "metrics.test_mae"),
        Column("test accuracy", "metrics.test_accuracy"),
    )
    # The mean of the column ``loss`` of the test rows: squared or absolute errors of numbers, wrong answers of classes.
    primary_metric: str = "test_loss"
    directions: Mapping[str, Direction] = {
        **{
            f"*_{name}": "max"
            for name in ("r2", "accuracy", "f1_macro", "precision_macro", "recall_macro", "roc_auc")
        },
        **{f"*_{name}": "min" for name in ("mse", "rmse", "mae", "median_ae", "log_loss", "loss")},
        "models_failed": "min",
    }

    def configure(self, files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> ModelSearchConfig:
        """Build the configuration.

        Raises:
            InvalidConfig: naming the place and the mend.
        """
        from corrida.pipelines.model_search.configure import configure

        return configure(files, overrides)

    def data_files(self, config: ModelSearchConfig) -> Mapping[str, str]:
        """Return the data file that the configuration names, if it does."""
        return {} if config.data_file is None else {"table": config.data_file}

    def run(self, data: Data, config: ModelSearchConfig, recorder: Recorder) -> Outcome:
        """Search each model, compare them on the test rows, and keep the one that validation chose.

        Raises:
            InvalidConfig, InvalidData: naming the file, the row or column, and the mend.
            MissingExtra: a model needs a package that is not installed.
        """
        from corrida.pipelines.model_search.searching import search_table

        paths = [*data.files, *data.named.values()]
        if data.files and data.named:
            raise InvalidConfig(
                "data are given twice: data_file in the configuration, and --data. Leave one of them out."
            )
        if not paths:
            raise InvalidData(
                "no data file was given; name one with --data FILE, or as data_file in the configuration"
            )
        if config.output_dir is not None:
            recorder.warn("output_dir is not used: the store is where runs go (--store)")
        return search_table(paths, config, config.used_seed(data.seed), data.item_ids, recorder)

    def load(self, models: Path, *, trust: bool = False) -> ModelPredictor:
        """Return what predicts with the model that a search chose, or with that of one of its child runs.

        Args:
            models: the folder ``models`` of the run, which is all that is needed.
            trust: consent to a pickle.

        Raises:
            NotFound, DamagedRun, Refused, MissingExtra: the model cannot be loaded.
        """
        from corrida.pipelines.model_search.predictor import load_predictor

        return load_predictor(models, trust=trust)

    def predictor_type(self) -> type[ModelPredictor]:
        """Return what :meth:`load` gives, whose options can be looked at without a model."""
        from corrida.pipelines.model_search.predictor import ModelPredictor

        return ModelPredictor


pipeline = ModelSearchPipeline()
