"""The rules of a definition, in CEL, as an API server goes by them when somebody makes or changes an object."""

from cel_expr_python import cel


def refusals(schema, new, old=None):
    """What is said of an object, and of a change to it: the messages of rules that do not hold."""
    environment = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})
    for rule in schema.get("x-kubernetes-validations", ()):
        # Rules about a change hold for what was not there before.
        if "oldSelf" in rule["rule"] and old is None:
            continue
        value = environment.compile(rule["rule"]).eval(data={"self": new, "oldSelf": old}).value()
        assert isinstance(value, bool), (rule, value)
        if not value:
            yield rule["message"]
    for name, below in schema.get("properties", {}).items():
        if isinstance(new, dict) and name in new:
            yield from refusals(below, new[name], old.get(name) if isinstance(old, dict) else None)


def count(schema):
    """How many rules there are."""
    below = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = len(schema.get("x-kubernetes-validations", ())) if isinstance(schema, dict) else 0
    return own + sum(map(count, below))
