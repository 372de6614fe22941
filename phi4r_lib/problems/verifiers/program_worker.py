"""Two programs that `program` runs in the sandbox: one calls the answer's functions, one evaluates an assert without it.

Values leave the first as plain data: only exact built-in types, so no object with an equality of its own gets out.
"""

# Reads {"program", "calls": [[name, arguments]] or "expressions": [[source]]}; its last line is [[fault, value]] as JSON.
# The answer may print what it likes, even lines like ours: it does not know what is expected, so it gains nothing.
CALLS = r"""
import io, json, os, sys
given = json.load(sys.stdin)
out = os.fdopen(os.dup(1), "w")
sys.stdin, sys.stdout = io.StringIO(), io.StringIO()

def plain(value, depth=0):
    if depth > 40:
        raise TypeError("too deep")
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (list, tuple):
        return [plain(one, depth + 1) for one in value]
    if kind is dict:
        return {key if type(key) is str else json.dumps(plain(key)): plain(one, depth + 1) for key, one in value.items()}
    raise TypeError("returns " + kind.__name__)

def source(value, depth=0):
    if depth > 40:
        raise TypeError("too deep")
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes, complex):
        return repr(value)
    if kind is float:
        return "float(%r)" % repr(value)
    if kind in (list, tuple, set, frozenset):
        return kind.__name__ + "([" + ", ".join(source(one, depth + 1) for one in value) + "])"
    if kind is dict:
        return "{" + ", ".join(source(k, depth + 1) + ": " + source(v, depth + 1) for k, v in value.items()) + "}"
    raise TypeError("returns " + kind.__name__)

space = {"__name__": "answer"}
exec("from typing import *\nimport collections, heapq, itertools, math, re\n", space)
results, fatal = [], ""
try:
    exec(compile(given["program"], "answer.py", "exec"), space)
except BaseException as error:
    fatal = "runtime_error: " + type(error).__name__

def function(name):
    if name in space:
        return space[name]
    return getattr(space["Solution"](), name)

def attempt(work):
    if fatal:
        return [fatal, None]
    try:
        return ["", work()]
    except (KeyError, AttributeError, NameError) as error:
        return ["no_function: " + str(error)[:60] if "calls" in given and not callable(space.get(str(error))) else "runtime_error", None]
    except MemoryError:
        return ["memory", None]
    except BaseException as error:
        return ["runtime_error: " + type(error).__name__, None]

for name, arguments in given.get("calls", ()):
    results.append(attempt(lambda: plain(function(name)(*arguments))))
for sources in given.get("expressions", ()):
    results.append(attempt(lambda: [source(eval(one, space)) for one in sources]))
text = json.dumps(results)
out.write("\n" + text + "\n")
out.flush()
os._exit(0)
"""

# Reads {"test", "values": [source]}; prints whether the test holds. No line of the answer is in this process.
CHECKS = r"""
import collections, itertools, json, math, re, sys
given = json.load(sys.stdin)
VALUES = [eval(one, {"__builtins__": {"float": float, "list": list, "tuple": tuple, "set": set, "frozenset": frozenset}}) for one in given["values"]]
print(bool(eval(given["test"])))
"""
