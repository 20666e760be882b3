"""What Optuna, TensorBoard and MLflow read from exported trials, as JSON: python read.py optuna.db tensorboard mlruns"""

import json
import logging
import os
import pathlib
import sys

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
logging.disable(logging.WARNING)
import optuna  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tensorboard.plugins.hparams import metadata  # noqa: E402

database, events, runs = sys.argv[1:4]


def of_optuna():
    [name] = optuna.get_all_study_names(f"sqlite:///{database}")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{database}")
    trials = [
        {
            "trial": t.user_attrs["trial"],
            "state": t.state.name,
            "parameters": t.params,
            "value": t.value if t.state.name == "COMPLETE" else None,
            "curve": [[step, value] for step, value in sorted(t.intermediate_values.items())],
            "seconds": t.duration.total_seconds() if t.duration else None,
        }
        for t in study.trials
    ]
    return {"trials": trials, "best": study.best_trial.user_attrs["trial"], "direction": study.direction.name}


def of_tensorboard():
    trials = []
    root = EventAccumulator(events).Reload()
    experiment = metadata.parse_experiment_plugin_data(
        root.SummaryMetadata("_hparams_/experiment").plugin_data.content
    )
    for folder in sorted(pathlib.Path(events).glob("trial-*")):
        read = EventAccumulator(str(folder)).Reload()
        scalars = read.Tags()["scalars"]
        start = metadata.parse_session_start_info_plugin_data(
            read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        )
        end = metadata.parse_session_end_info_plugin_data(
            read.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
        )
        value = lambda v: getattr(v, v.WhichOneof("kind"))  # noqa: E731
        trials.append(
            {
                "trial": int(folder.name.removeprefix("trial-")),
                "state": {1: "COMPLETE", 2: "FAIL", 3: "RUNNING"}[end.status],
                "parameters": {name: value(v) for name, v in start.hparams.items()},
                "value": read.Scalars("result/reward")[-1].value if "result/reward" in scalars else None,
                "curve": [[e.step, e.value] for e in read.Scalars("train/loss")] if "train/loss" in scalars else [],
            }
        )
    scored = [t for t in trials if t["value"] is not None]
    return {
        "trials": sorted(trials, key=lambda t: t["trial"]),
        "best": max(scored, key=lambda t: t["value"])["trial"],
        "columns": sorted(info.name for info in experiment.hparam_infos),
        "metrics": sorted(info.name.tag for info in experiment.metric_infos),
    }


def of_mlflow():
    client = MlflowClient(tracking_uri=pathlib.Path(runs).absolute().as_uri())
    [experiment] = [e for e in client.search_experiments() if e.name != "Default"]
    found = client.search_runs([experiment.experiment_id], order_by=["metrics.reward DESC"], max_results=1000)
    trials = [
        {
            "trial": int(run.data.tags["trial"]),
            "state": {"FINISHED": "COMPLETE", "FAILED": "FAIL", "RUNNING": "RUNNING"}[run.info.status],
            "parameters": run.data.params,
            "value": run.data.metrics.get("reward"),
            "curve": [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, "train.loss")],
        }
        for run in found
    ]
    return {"trials": sorted(trials, key=lambda t: t["trial"]), "best": int(found[0].data.tags["trial"])}


print(json.dumps({"optuna": of_optuna(), "tensorboard": of_tensorboard(), "mlflow": of_mlflow()}))
