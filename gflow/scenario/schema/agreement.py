"""Checks that the parts of a scenario agree with each other; every refusal names the key to change."""

from __future__ import annotations

from gflow.scenario.schema.base import refuse
from gflow.scenario.schema.data import Data
from gflow.scenario.schema.descent import Descent
from gflow.scenario.schema.init import BalancedInit, GaussianInit, Init, UniformInit
from gflow.scenario.schema.network import Linear, Model, ScalarModel, SmoothActivation, TwoLayerModel
from gflow.scenario.schema.real_data import ClassifiedData, FileData
from gflow.scenario.schema.run import Flow


def check_start(model: Model, init: Init) -> None:
    """Refuse an initialisation that does not fit the network.  Raises PydanticCustomError."""
    if isinstance(model, ScalarModel):
        if isinstance(init, GaussianInit | UniformInit):
            refuse("does not fit model.kind scalar; use balanced (or file)", "init", "kind")
        return
    if isinstance(init, BalancedInit):
        refuse("is for model.kind scalar; use gaussian or uniform (or file) for two_layer", "init", "kind")
    if isinstance(init, GaussianInit | UniformInit):
        _check_draws(model, init)


def _check_draws(model: TwoLayerModel, init: GaussianInit | UniformInit) -> None:
    if isinstance(init, GaussianInit) and init.bias == "same" and not model.bias:
        refuse("draws biases, and the network has none; set `model.bias: true` or remove it", "init", "bias")
    if model.outputs > 1 and init.outer is None:
        remedy = f"add for example `outer: {'{std: tensorflow}' if isinstance(init, GaussianInit) else '{scale: 1.0}'}`"
        refuse(f"has no `outer`, which outputs = {model.outputs} needs; {remedy}", "init")
    if init.outer is not None and model.outer.values != "signs":
        refuse("lists the outer layer, and init.outer draws it; remove one of the two", "model", "outer", "values")


def check_labels(model: Model, data: Data, loss: str) -> None:
    """Refuse data whose labels, or a loss that, does not fit the number of outputs.  Raises PydanticCustomError."""
    outputs = model.outputs if isinstance(model, TwoLayerModel) else 1
    if outputs == 1:
        if isinstance(data, ClassifiedData) and len(data.classes) != 2:
            refuse(
                f"names {len(data.classes)} classes, and one output tells two apart; name two or set "
                f"`model.outputs: {len(data.classes)}` (two_layer)",
                *("data", "classes"),
            )
        return
    if loss != "logistic":
        refuse(f"is not available with outputs = {outputs}; use logistic (softmax cross-entropy)", "loss")
    if not isinstance(data, ClassifiedData | FileData):
        reason = f"has labels -1 and +1, and outputs = {outputs} needs classes 0, ..., {outputs - 1}"
        refuse(f"{reason}; use digits, mnist, cifar10, file, or `model.outputs: 1`", "data", "kind")
    if isinstance(data, ClassifiedData) and len(data.classes) != outputs:
        reason = f"names {len(data.classes)} classes, and model.outputs = {outputs} needs {outputs}"
        refuse(f"{reason}; make the numbers equal", "data", "classes")


def check_engine(model: Model, flow: Flow) -> None:
    """Refuse the dual engine, what needs it, and the Taylor series where they do not apply.  Raises
    PydanticCustomError.
    """
    obstacle = _obstacle(model)
    if flow.engine == "dual" and obstacle is not None:
        refuse(f"does not apply to {obstacle}; use auto or primal", "flow", "engine")
    unknown = without_series(model)
    if flow.method == "taylor" and unknown is not None:
        refuse(f"does not apply to {unknown}; use auto", "flow", "method")
    if obstacle is None and flow.engine != "primal":
        return
    reason = obstacle or "engine: primal"
    if flow.until.certified:
        remedy = "use time, log_time or log_loss"
        refuse(f"needs the dual engine, and has {reason}; {remedy}", "flow", "until", "certified")


def _obstacle(model: Model) -> str | None:
    """Why the flow of this network has no dual coordinates, or None when it has."""
    if not isinstance(model, ScalarModel) and model.outer.train:
        return "a trained outer layer (model.outer.train)"
    if isinstance(model, TwoLayerModel) and model.outputs > 1:
        return f"several outputs (model.outputs = {model.outputs})"
    return without_series(model)


def without_series(model: Model) -> str | None:
    """Why the Taylor engine does not know this network, or None when it does."""
    if isinstance(model, ScalarModel):
        return "model.kind scalar"
    if isinstance(model.activation, SmoothActivation):
        return f"the smooth activation {model.activation.kind}"
    return None


def check_descent(model: Model, init: Init, descent: Descent) -> None:
    """Refuse descent that does not fit the network or its start.  Raises PydanticCustomError."""
    if descent.at_kink is not None and isinstance(model.activation, SmoothActivation | Linear):
        refuse(f"is for kinks, and {model.activation.kind} has none; remove it", "descent", "at_kink")
    if descent.starts != "drawn":
        return
    if not isinstance(init, GaussianInit | UniformInit) or isinstance(model, ScalarModel):
        remedy = "use `init.kind: gaussian` or `uniform` with model.kind two_layer, or remove it"
        refuse(f"needs an init that draws one network from every seed; {remedy}", "descent", "starts")
    if init.outer is not None and not model.outer.train:
        reason = "draws another fixed outer layer, so another network, with every seed"
        refuse(f"{reason}; set `model.outer.train: true`, or remove init.outer", "descent", "starts")
