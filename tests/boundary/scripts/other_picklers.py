"""Hands distributed functions of a script to picklers and workers that know nothing of this project.

``python other_picklers.py JOB [ADDRESS]`` prints a line of JSON: whether each of them gave what a plain call gives.
"""

import json
import pickle
import subprocess
import sys

import cloudpickle
from jd_core import distribute

FACTOR = 3
OTHER = "import pickle, sys; function, argument = pickle.load(sys.stdin.buffer); print(function(argument))"


@distribute(job="io", workers=2)
def scale(x):
    return x * FACTOR


@distribute(job="io")
def total(xs: list[int], depth: int = 2) -> int:
    """Names itself, and needs its own hints."""
    return sum(xs) if depth == 0 else total.local(xs, depth - 1)


class Scaler:
    def __init__(self, factor):
        self.factor = factor

    @distribute(job="io")
    def scale(self, x):
        return x * self.factor


def in_another_process(dumps, function, argument):
    """Returns what a fresh interpreter prints, which unpickles with nothing but Python's pickle."""
    sent = dumps((function, argument))
    done = subprocess.run([sys.executable, "-c", OTHER], input=sent, capture_output=True, check=False)
    return done.stdout.decode().strip() or done.stderr.decode()


def use_all(x):
    """Runs in a worker, with the functions as globals."""
    return scale([x]), scale.local(x), Scaler(2).scale([x]), total([[x, x]])


def main():
    job, *address = sys.argv[1:]
    expected = "[3, 6]"
    said = {
        "by name": pickle.loads(pickle.dumps(scale)) is scale,
        "method by name": pickle.loads(pickle.dumps(Scaler.scale)) is Scaler.scale,
        "cloudpickle": in_another_process(cloudpickle.dumps, scale, [1, 2]) == expected,
        "a method": in_another_process(cloudpickle.dumps, Scaler(3).scale, [1, 2]) == expected,
        "itself": in_another_process(cloudpickle.dumps, total, [[1, 2]]) == str(total([[1, 2]])),
    }
    options = {"job": job, "workers": 1, **({"address": address[0]} if address else {})}
    said["as globals"] = distribute(use_all, **options)([1, 2]) == [use_all(1), use_all(2)]
    said["signature"] = distribute(lambda x: str(total.__signature__), **options)([1]) == [str(total.__signature__)]
    if job == "ray":
        import ray

        on_ray = scale.options("ray", address=address[0]) if address else scale.options("ray")
        task = ray.remote(num_cpus=0)(lambda xs: (scale(xs), on_ray(xs)))
        said["in a task"] = ray.get(task.remote([1, 2])) == ([3, 6], [3, 6])

        @ray.remote(num_cpus=0)
        class Actor:
            def use(self, function, xs):
                return function(xs), scale(xs), use_all(1)

        said["in an actor"] = ray.get(Actor.remote().use.remote(scale, [1, 2])) == ([3, 6], [3, 6], use_all(1))
        dumps = ray.cloudpickle.dumps
        said["ray.cloudpickle"] = in_another_process(dumps, scale, [1, 2]) == expected
    print(json.dumps(said))


if __name__ == "__main__":
    main()
