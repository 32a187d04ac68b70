"""The command `studio`. It imports what it needs when it runs: torch, and a server that comes as an extra."""

from __future__ import annotations

import socket
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import options
from harness.cli.ending import Terminated
from harness.errors import ConfigurationError

if TYPE_CHECKING:
    from harness.console import Shown
    from harness.runs import Run

NEEDED = ("starlette", "uvicorn")

DEVICES = ("auto", "cpu", "cuda")
"""What `--device` takes, as `harness validate` does."""

CONNECTIONS = 4096
"""At most so many may be open at once."""


def add_to(app: typer.Typer) -> None:
    """Give the `harness` command that of the studio."""
    app.command()(studio)


def studio(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="run directory, such as artifacts/latest", show_default=False)
    ],
    other: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="a second one, asked about the same input", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 is a free one")] = 0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="where to listen; beyond this machine needs --allow-host")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="a name by which browsers may reach it; again for others"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="of the network shown first [default: the run's first]", show_default=False
        ),
    ] = None,
    checks: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="where 'make it a check' writes [default: the first of the configuration's `checks` here, "
            "else checks]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="|".join(DEVICES), help="where to compute")] = "cpu",
) -> None:
    """Ask a finished run's network while you look: a page on this machine, until Ctrl-C."""
    _refuse_without_extra()
    from harness.console import Shown
    from harness.studio import security

    names = security.allowed_names(allow_host or ())
    if _as_called(host) not in security.LOOPBACK and not names:
        raise ConfigurationError(
            f"--host {host}: is reached from beyond this machine; name with --allow-host the hosts that "
            "browsers may call it by"
        )
    if device not in DEVICES:
        raise ConfigurationError(
            f"--device must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]} (got {device!r})"
        )
    folder, shown = _checks(checks), Shown()
    runs = [_opened(path, shown) for path in (run, other) if path is not None]
    with _listening(host, port) as listening:
        _serve(runs, listening, host=host, names=names, folder=folder, seed=seed, device=device, shown=shown)


def _refuse_without_extra() -> None:
    lost = [name for name in NEEDED if find_spec(name) is None]
    if lost:
        raise ConfigurationError(
            f"the studio needs {' and '.join(lost)}, which the extra `studio` brings: "
            "pip install 'interpretability-harness[studio]'"
        )


def _checks(asked: str | None) -> Path:
    """The folder that checks are written into, which need not be there yet."""
    from harness.artifacts.sealing import lies_in_data
    from harness.config.values import named_place

    if asked is not None:
        folder = named_place("--checks", asked).absolute()
    else:
        folder = next(iter(options.asked_checks(None)), Path("checks")).absolute()
    if lies_in_data(folder):
        raise ConfigurationError(
            f"--checks {folder}: lies in a run or the cache, which are data, not code: name another"
        )
    return folder


def _opened(path: str, shown: Shown) -> Run:
    from harness.artifacts.directories import RunDirectory
    from harness.runs import Run

    directory = RunDirectory.open(path)
    for one in directory.amiss():
        shown.warn(f"{directory.path}: {one}")
    return Run(directory)


def _as_called(host: str) -> str:
    """An address as it stands in another: of version 6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ConfigurationError: the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # its protocol is named, since asyncio sends without delay on sockets of this one alone: else an answer in
    # two parts waits 40 ms for the first to be acknowledged
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise ConfigurationError(
            f"--host {host} --port {port}: cannot be listened at ({error.strerror or error}); "
            "--port 0 takes a free port"
        ) from None
    return made


def _serve(
    runs: list[Run],
    listening: socket.socket,
    *,
    host: str,
    names: frozenset[str],
    folder: Path,
    seed: int | None,
    device: str,
    shown: Shown,
) -> None:
    """Answer until the command is interrupted."""
    import uvicorn

    from harness.environment import choose_device
    from harness.studio import page, security
    from harness.studio.live import Live
    from harness.studio.server import Studio, settings

    token, port = security.new_token(), int(listening.getsockname()[1])
    where = str(choose_device(device, tell=shown.warn))
    lives = [Live(run, device=where) for run in runs]
    served = Studio(
        lives,
        token=token,
        port=port,
        names=names,
        checks=folder,
        seed=seed,
        files=page.files([live.about for live in lives]),
        view=_view,
        report=_tell_trace,
    )
    _make_room()
    server = uvicorn.Server(uvicorn.Config(served.application, **settings()))
    reached = _as_called(host)
    if reached not in security.LOOPBACK:
        reached = min(names)
    shown.last(f"studio: http://{reached}:{port}/#token={token}")
    shown.say("Ctrl-C ends it; whoever has this address may ask, and write checks")
    try:
        server.run(sockets=[listening])
    except Terminated:
        raise
    except KeyboardInterrupt:
        shown.say("ended")
    finally:
        served.worker.close()


def _make_room() -> None:
    """Let as many connections be open as the system allows, and log none that has to wait for one."""
    import logging

    logging.getLogger("asyncio").addFilter(lambda record: "out of system resource" not in record.getMessage())
    try:
        import resource
    except ImportError:  # a system without such bounds
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if most == resource.RLIM_INFINITY else min(CONNECTIONS, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _view(*shown: Any) -> str:
    """A page of its own of one answer; what draws it takes seconds to import."""
    from harness.studio import saved

    drawn: str = saved.render(*shown)
    return drawn


def _tell_trace(error: Exception) -> None:
    """Print where an error that nobody foresaw came from."""
    import traceback

    traceback.print_exception(error)
