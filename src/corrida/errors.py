"""Every error that corrida raises on purpose.

The tree::

    CorridaError
    ├── BadInput (ValueError)            wrong use: exit code 2
    │   ├── InvalidName                  a run id, alias, tag or file name outside the grammar
    │   ├── InvalidReference             a reference that cannot be read
    │   ├── AmbiguousReference           a prefix that fits several runs
    │   ├── InvalidFilter                a filter or order that cannot be read
    │   ├── InvalidConfig                a configuration file or value
    │   ├── InvalidData                  a data file or an item table
    │   └── InvalidMetric                a metric that is not a number
    ├── NotFound (KeyError)              what was named is not there: exit code 2
    │   ├── RunNotFound
    │   ├── AliasNotFound
    │   ├── PipelineNotFound
    │   └── ArtifactNotFound
    ├── AlreadyExists (FileExistsError)  a name that is taken: exit code 2
    ├── DatabaseError                    the user's database cannot be reached, or declines
    ├── RunSealed                        a finished run was to be changed
    ├── DamagedRun                       a run folder that cannot be read
    │   └── NewerFormat                  written by a later version of corrida
    ├── StoreError (OSError)             the store cannot be read or written (rights, space)
    ├── Refused                          corrida declines, because something would be lost
    ├── PipelineFailed                   the pipeline itself raised
    ├── EndpointFailed                   a service that a pipeline asks does not answer
    ├── TrackingError                    MLflow, or its server, cannot be reached, or declines
    ├── ClusterUnreachable               no cluster answers where one was said to be
    ├── WorkerDied                       a task ended its worker each time it was started
    └── MissingExtra (ImportError)       an optional dependency is not installed

Each message says what is wrong, where, and what to do next. ``exit_code`` is what the command line returns.
"""

from __future__ import annotations


class CorridaError(Exception):
    """The base of every error that corrida raises on purpose."""

    exit_code: int = 1

    def __str__(self) -> str:
        """Return the sentence itself; KeyError would print its repr."""
        return str(self.args[0]) if self.args else self.__class__.__name__


class BadInput(CorridaError, ValueError):
    """Something that was given cannot be used as it is."""

    exit_code = 2


class InvalidName(BadInput):
    """A run id, alias, tag or file name is outside the grammar."""


class InvalidReference(BadInput):
    """A reference such as ``latest~1`` cannot be read."""


class AmbiguousReference(BadInput):
    """A prefix fits several runs."""


class InvalidFilter(BadInput):
    """A filter or an order cannot be read, or names an unknown field."""


class InvalidConfig(BadInput):
    """A configuration file or value cannot be used."""


class InvalidData(BadInput):
    """A data file or an item table cannot be used."""


class InvalidMetric(BadInput):
    """A metric is not a number or has no usable name."""


class NotFound(CorridaError, KeyError):
    """What was named does not exist."""

    exit_code = 2


class RunNotFound(NotFound):
    """No run fits the reference."""


class AliasNotFound(NotFound):
    """No run carries the alias."""


class PipelineNotFound(NotFound):
    """No pipeline has the name."""


class ArtifactNotFound(NotFound):
    """The run has no such file."""


class AlreadyExists(CorridaError, FileExistsError):
    """A name is taken; nothing is ever overwritten."""

    exit_code = 2


class DatabaseError(CorridaError):
    """The user's database cannot be reached, or declines."""


class RunSealed(CorridaError):
    """A finished run is immutable."""


class DamagedRun(CorridaError):
    """A run folder cannot be read as a run."""


class NewerFormat(DamagedRun):
    """A file was written by a later version of corrida."""


class StoreError(CorridaError, OSError):
    """The store cannot be read or written."""


class Refused(CorridaError):
    """Corrida declines, because something would be lost."""


class PipelineFailed(CorridaError):
    """The pipeline raised; its run is kept as failed.

    Attributes:
        run_id: that run; None when it was not kept.
    """

    run_id: str | None = None


class EndpointFailed(CorridaError):
    """A service that a pipeline asks does not answer; the run that needs it is kept as failed."""


class ClusterUnreachable(CorridaError):
    """No cluster answers at the address that was given."""


class WorkerDied(CorridaError):
    """A task ended the process that it ran in, each time it was started."""


class TrackingError(CorridaError):
    """MLflow, or its server, cannot be reached, or declines."""


class MissingExtra(CorridaError, ImportError):
    """An optional dependency is not installed."""
