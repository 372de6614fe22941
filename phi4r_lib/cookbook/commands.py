"""The commands of `phi4r`, and what their words on the command line mean.

Not here: what the commands do (runner.py, report.py, doctor.py, plan.py, and measure for `variance`), and how an
error or an interrupt ends (cli.py).
"""

from __future__ import annotations

import argparse
import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.folder.run_folder import choose_folder
from phi4r_lib.cookbook.settings.home import BUDGET, Stopped, UserError, check_user, home, real_path, short, shown
from phi4r_lib.cookbook.settings.options import numbers, refuse_blanks, refuse_idle, sets_of
from phi4r_lib.cookbook.settings.profile import load_profile, mapping_of, nested, profile_path
from phi4r_lib.cookbook.settings.sections import Files
from phi4r_lib.problems.census import Census
from phi4r_lib.problems.gold_check import GoldCheck
from phi4r_lib.problems.named import UnknownNameError
from phi4r_lib.problems.sandbox import sandbox_problem
from phi4r_lib.problems.schema import DOMAINS, is_domain, iter_problems
from phi4r_lib.problems.verify import UnfitVerifier

EXAMPLES = """examples:
  phi4r run                                     the whole recipe with the tiny models, into runs/cpu
  phi4r run --profile smoke                     the same with the least counts
  phi4r run --all                               and the extra notebooks, 06 and on
  phi4r run --from 03 --set sft.passes=3        one setting changed, in a folder of its own beside runs/cpu
  phi4r run --only 01 --out runs/mine --seeds my.jsonl --map prompt=question --map answer=gold
  phi4r plan --profile gpu --pilot 32           what would run and take: hours, money, memory; measured by a pilot
  phi4r run --profile gpu --budget 8h           stop in order when it is spent
  phi4r validate my.jsonl --map prompt=question look at a problems file before a run
  phi4r status; phi4r report; phi4r doctor

exit codes: 0 success; 1 a notebook failed or the disk is full; 2 wrong use or bad input, nothing was changed;
3 the budget is spent; 75 asked to end (SIGTERM), put the job back into the queue; 130 interrupted. After 3, 75 and
130 the same command goes on, and after a full disk once there is room."""

# Commands with a module of their own (add_parser and run).
COMMANDS = {"variance": "pages.log_analysis", "sweep": "sweeps.command"}


class Once(argparse.Action):
    """Stores a value; a second one would silently win, so it is refused."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        given = vars(namespace).setdefault("_given", set())
        if option and self.dest in given:
            parser.error(f"{option} is given twice; give it once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """argparse with the house's way to fail: one clear line and exit code 2; examples keep their lines."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.register("action", None, Once)  # where add_argument names no action

    def error(self, message: str) -> NoReturn:
        """Prints the fault and where to read on; exits with 2."""
        self.exit(2, f"{self.prog}: {short(message)}\nsee: {self.prog} --help\n")


def parser() -> Parser:
    """The command line."""
    top = Parser(prog="phi4r", description="Teach a small model to reason, data first.", epilog=EXAMPLES)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _add_run(commands.add_parser("run", help="run the notebooks in order, resuming where the last run stopped"))
    _add_plan(commands.add_parser("plan", help="show what would run, with counts and expected cost"))
    for name, text in (("status", "what a run has done so far"), ("report", "write the HTML report of a run")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--out", help="run folder (default: runs/PROFILE)")
        command.add_argument("--profile", help="profile of the run (default: cpu)")
        _add_sets(command)
    look = commands.add_parser("doctor", help="check this machine: what is missing and what to do about it")
    look.add_argument("--profile", default="cpu", help="whose models, data and keys (default: cpu)")
    check = commands.add_parser("validate", help="check a problems file or a profile (YAML)")
    check.add_argument("file", help="problems (JSONL, JSON array, CSV, TSV, Parquet; also .gz), or a .yaml profile")
    check.add_argument("--profile", help="the profile whose `verifiers:` the file names")
    _add_map(check)
    for module in COMMANDS.values():
        importlib.import_module(f"phi4r_lib.cookbook.{module}").add_parser(commands)
    return top


def _add_run(command: argparse.ArgumentParser) -> None:
    _add_choice(command)
    command.add_argument("--force", action="store_true", help="run again what is already done")
    text = "stop in order when this is spent: a time (90m, 2.5h) or money ('40 USD') where prices are known"
    command.add_argument("--budget", metavar="AMOUNT", help=text)
    _add_costs(command)
    command.epilog = EXAMPLES


def _add_plan(command: argparse.ArgumentParser) -> None:
    _add_choice(command)
    command.set_defaults(force=False)
    text = "first measure N answers of each model and a few training steps of this profile on this machine"
    command.add_argument("--pilot", type=int, metavar="N", help=text)
    command.add_argument("--device", metavar="NAME", help="plan for this device of the costs file, such as H200")
    _add_costs(command)


def _add_costs(command: argparse.ArgumentParser) -> None:
    text = "prices, devices and shares of peak (default: notebooks/profiles/cluster/costs.yaml)"
    command.add_argument("--costs", metavar="FILE", help=text)


def _add_choice(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", default="cpu", help="name of a profile or a YAML file (default: cpu)")
    command.add_argument("--out", help="run folder (default: runs/PROFILE)")
    command.add_argument("--only", action="append", metavar="NN", help="only this notebook; can be repeated")
    command.add_argument("--all", action="store_true", dest="everything", help="the extra notebooks (06 and on) too")
    command.add_argument("--from", dest="start", metavar="NN", help="this notebook and those after it")
    _add_sets(command)
    command.add_argument(
        "--notebooks", action="append", metavar="DIR", help="a further folder of notebooks of your own"
    )
    text = "your own seed problems (JSONL, JSON array, CSV, Parquet); DOMAIN=FILE for rows without a domain; can be repeated"
    command.add_argument("--seeds", metavar="FILE", action="append", default=[], help=text)
    _add_map(command)


def _add_sets(command: argparse.ArgumentParser) -> None:
    text = "one setting changed, such as edge.limit=50: a run of its own beside runs/PROFILE; can be repeated"
    command.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help=text)


def _add_map(command: argparse.ArgumentParser) -> None:
    text = "field of a problem = field of your file (a.b.0 inside it, =TEXT a constant, # the default, as in id=#); same names need none; repeatable"
    command.add_argument("--map", dest="maps", action="append", default=[], metavar="OURS=THEIRS", help=text)


def target_of(args: argparse.Namespace) -> Any:
    """The validated target of `run` and `plan`; raises UserError before anything is written."""
    from phi4r_lib.cookbook.running.runner import Target

    refuse_blanks(args)
    overrides = sets_of(args.sets)
    mapping = mapping_of(args.maps)
    refuse_idle(args, overrides, mapping)
    if args.seeds:
        overrides |= {"data.seeds": seeds_of(args.seeds, mapping), "data.map": mapping, "data.gold": None}
    if args.notebooks:
        folders = [str(real_path(folder)) for folder in args.notebooks]
        overrides["notebooks"] = [*load_profile(args.profile).notebooks, *folders]
    profile = load_profile(args.profile, overrides)
    given = real_path(args.out) if args.out else None
    out, varies = choose_folder(given, profile.name, nested(overrides))
    return Target(source_of(args.profile), profile, out, overrides, varies)


def seeds_of(given: Sequence[str], mapping: dict[str, str]) -> Files:
    """`--seeds` as data.seeds, full paths; raises UserError or ProblemFileError for files that cannot be used.

    The gold file of the profile belongs to its own seeds, so it does not go with others.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        domain, sign, file = text.partition("=")
        if sign and not is_domain(domain):
            raise UserError(f"--seeds {text[:50]!r}: {domain[:50]!r} is no name of a domain; {DOMAINS}")
        path = real_path(file if sign else text)
        for _ in iter_problems(path, mapping or None, domain=domain if sign else None):
            pass  # reads all of it, so that a fault is found now; keeps nothing
        found.setdefault(domain if sign else "", []).append(str(path))
    if "" in found and len(found) > 1:
        raise UserError("--seeds: give a domain with every file (DOMAIN=FILE) or with none")
    files = found.get("", found)
    return files[0] if isinstance(files, list) and len(files) == 1 else files


def source_of(profile: str) -> str:
    """Profile as notebooks get it: its name, or the full path of a YAML file (they run in another directory)."""
    return str(profile_path(profile)) if profile.endswith((".yaml", ".yml")) else profile


def run(args: argparse.Namespace) -> int:
    """`phi4r run`: 0 when every notebook is done, 1 when one failed, 3 when the budget is spent."""
    from phi4r_lib.cookbook.pages import report
    from phi4r_lib.cookbook.planning import outlook, preflight
    from phi4r_lib.cookbook.planning.plan import recorded
    from phi4r_lib.cookbook.running import budget, progress, runner

    check_user()
    target = target_of(args)
    notebooks = chosen(args, target)
    print(headline(target), flush=True)
    folder = target.folder()
    due = [one for one in notebooks if args.force or folder.outdated(one.number)]
    preflight.check(target.profile, due)
    found = outlook.estimator(target.profile, args.costs)
    preflight.check_memory(target.profile, due, found.costs)
    limit = budget.parse(args.budget, found.rates(), found.costs.currency) if args.budget else None
    seen = {number: cost[0] for number, cost in recorded(target.out, target.profile.name).items()}
    stopped: Stopped | None = None
    try:
        keep = functools.partial(outlook.keep, found=found, recorded=seen)
        succeeded = runner.run_notebooks(notebooks, target, progress.Progress(), args.force, limit, keep)
    except Stopped as stop:
        if stop.code != BUDGET:
            raise
        succeeded, stopped = False, stop
    page = report.write(target.out)
    print(f"report: {shown(page)}")
    if further := runner.left_out(target, notebooks):
        print(further)
    for folder in sorted(target.out.glob("[0-9][0-9]_*/figures")):
        print(f"figures: {shown(folder)}")
    if stopped:
        print(f"{stopped.reason}; all that exists is kept, run the same command to go on from here")
    elif not succeeded:
        print(
            f"logs and executed notebooks: {shown(target.out / 'notebooks')}; run the same command to go on from here"
        )
    if problem := sandbox_problem():  # last, so that it is seen
        print(f"not available here: {problem.partition('. To run programs WITHOUT')[0]}")
    return stopped.code if stopped else 0 if succeeded else 1


def chosen(args: argparse.Namespace, target: Any) -> list[Any]:
    """The stages that `run` and `plan` consider."""
    from phi4r_lib.cookbook.running.runner import choose

    start = numbers([args.start]) if args.start else [None]
    return choose(target, numbers(args.only), *start, everything=args.everything)


def headline(target: Any) -> str:
    """Profile and run folder, and the run that it varies."""
    varied = f", which reads what its settings leave alone from {shown(target.varies)}" if target.varies else ""
    return f"profile {target.profile.name}, run folder {shown(target.out)}{varied}"


def plan(args: argparse.Namespace) -> int:
    """`phi4r plan`."""
    from phi4r_lib.cookbook.planning import outlook, preflight
    from phi4r_lib.cookbook.planning import plan as module
    from phi4r_lib.cookbook.running import runner

    target = target_of(args)
    notebooks = chosen(args, target)
    folder = target.folder()
    due = [one for one in notebooks if folder.outdated(one.number)]
    preflight.check(target.profile, due, outlook.estimator(target.profile, args.costs, args.device).costs)
    if args.pilot is not None:
        from phi4r_lib.cookbook.planning.pilot import run_pilot

        run_pilot(target.profile, args.pilot)
    further = runner.left_out(target, notebooks)
    lines = module.lines(notebooks, target, args.costs, args.device)
    lines += [f"to come, a run asks for it: {words}" for words in preflight.to_come(target.profile, due)]
    print("\n".join([headline(target), *lines, *([further] if further else [])]))
    return 0


def status(args: argparse.Namespace) -> int:
    """`phi4r status`."""
    from phi4r_lib.cookbook.planning.plan import status_lines

    print("\n".join(status_lines(existing_run(args))))
    return 0


def existing_run(args: argparse.Namespace) -> Path:
    """Run folder of `status` and `report`; raises UserError when there is no run in it."""
    refuse_blanks(args)
    change = nested(sets_of(args.sets))
    if args.out:
        if args.profile or change:
            raise UserError("--out names the run folder, so that --profile and --set choose nothing; leave them out")
        out = real_path(args.out)
    else:
        name = profile_path(args.profile or "cpu").stem
        out = choose_folder(None, name, change)[0] if change else home() / "runs" / name
    if not state.is_run(out):
        raise UserError(f"no run in {shown(out)}; start one with `phi4r run`, or name its folder with --out")
    return out


def report(args: argparse.Namespace) -> int:
    """`phi4r report`."""
    from phi4r_lib.cookbook.pages import report as module

    check_user()
    print(f"report: {shown(module.write(existing_run(args)))}")
    return 0


def validate(args: argparse.Namespace) -> int:
    """`phi4r validate`: a problems file, golds judged by their own verifiers, or a profile; 2 when it is faulty."""
    refuse_blanks(args)
    if args.file.endswith((".yaml", ".yml")):
        if args.maps or args.profile:
            raise UserError(f"{args.file} is a profile; --map and --profile go with a problems file, leave them out")
        profile = load_profile(args.file)
        print(f"{args.file}: profile '{profile.name}' is valid")
        return 0
    census = Census()
    problems = iter_problems(args.file, mapping_of(args.maps) or None, notes=census.notes)
    golds = GoldCheck(load_profile(args.profile).verifiers if args.profile else None)
    try:
        for _ in golds.checking(census.counting(problems)):
            pass
    except (UnknownNameError, UnfitVerifier) as error:
        raise UserError(f"{args.file}: {error}") from None
    print(f"{args.file}: " + "\n  ".join([*census.lines(), *golds.lines()]))
    return 2 if golds.refused else 0


def doctor(args: argparse.Namespace) -> int:
    """`phi4r doctor`: 1 when something needed is missing."""
    from phi4r_lib.cookbook.planning import doctor as module

    return module.main(args.profile)


def call(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and runs its command; returns the exit code. Raises what cli.py turns into words."""
    commands = {"run": run, "plan": plan, "status": status, "report": report, "validate": validate, "doctor": doctor}
    args = parser().parse_args(argv)
    if args.command in commands:
        return commands[args.command](args)
    return importlib.import_module(f"phi4r_lib.cookbook.{COMMANDS[args.command]}").run(args)
