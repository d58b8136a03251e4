"""Options that the commands of both servers have, said once."""

from pathlib import Path
from typing import Annotated

import typer

from tfrec.cli.logs import LogFormat

Host = Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for all")]
Port = Annotated[int, typer.Option(help="0 takes a free one")]
PollInterval = Annotated[float, typer.Option(help="seconds between looks for a new version")]
MaxBatchSize = Annotated[int, typer.Option(help="users computed together")]
MaxBatchEvents = Annotated[
    int,
    typer.Option(help="events computed together; at least 32 a user, rounded up to a power of two"),
]
Processes = Annotated[
    int,
    typer.Option(min=1, help="that share the port; for requests of which Python is most of the work"),
]
MaxMessage = Annotated[int, typer.Option(help="largest request and answer, in MiB")]
Drain = Annotated[float, typer.Option(help="seconds that running requests get at the end")]
MaxConnectionAge = Annotated[
    float, typer.Option(help="end connections after so many seconds, so that clients find new replicas")
]
TlsCert = Annotated[Path | None, typer.Option(help="PEM certificate; with --tls-key, TLS")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM private key")]
TlsClientCa = Annotated[
    Path | None, typer.Option(help="PEM authorities; every client then needs a certificate of theirs")
]
MetricsPort = Annotated[int, typer.Option(help="Prometheus metrics over HTTP; 0: none")]
LogForm = Annotated[LogFormat, typer.Option(help="of the log on stderr")]
LogRequests = Annotated[bool, typer.Option("--log-requests", help="a line for each request")]
