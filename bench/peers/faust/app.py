"""The jobs of the peers, in Faust. See ../README.md for what each one must do, and README.md for what Faust cannot."""

import argparse
import asyncio
import sys
import tempfile

import mode.loop
from aiokafka import AIOKafkaConsumer

# What `faust worker --loop uvloop` does; it must come before Faust itself.
mode.loop.use("uvloop")

import faust  # noqa: E402


class Event(faust.Record, include_metadata=False):
    page: str
    user: str
    at: int
    agent: str


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--guarantee", default="exactly-once", choices=["at-least-once", "exactly-once"])
    parser.add_argument("--store", default="memory", choices=["memory", "disk"])
    parser.add_argument("--dir")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--commit-ms", type=int, default=100)
    parser.add_argument("--cache-mb", type=int, help="ignored: a table has no write cache")
    parser.add_argument("--session-ms", type=int, default=10_000)
    parser.add_argument("--http", type=int)
    parser.add_argument("--events", default="events")
    parser.add_argument("--others", default="others")
    parser.add_argument("--out")
    return parser.parse_args()


def refuse(why: str) -> None:
    print(why, file=sys.stderr)
    sys.exit(3)


async def partitions_of(brokers: str, topic: str) -> int:
    """How many partitions a table must have: as many as its topic. Faust asks for the number, with 8 as the default."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=brokers)
    await consumer.start()
    try:
        return len(consumer.partitions_for_topic(topic))
    finally:
        await consumer.stop()


def make_app(args: argparse.Namespace) -> faust.App:
    serves = args.job == "serve"
    return faust.App(
        args.group,
        broker=f"kafka://{args.brokers}",
        datadir=args.dir or tempfile.mkdtemp(prefix="faust-"),
        store="rocksdb://" if args.store == "disk" else "memory://",
        topic_partitions=asyncio.run(partitions_of(args.brokers, args.events)),
        broker_commit_interval=args.commit_ms / 1000,
        broker_session_timeout=args.session_ms / 1000,
        broker_heartbeat_interval=args.session_ms / 3000,
        web_enabled=serves,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=args.http if serves else None,
        # Otherwise what is printed goes to the log.
        worker_redirect_stdouts=False,
    )


def events(app: faust.App, topic: str) -> faust.TopicT:
    return app.topic(topic, key_type=str, value_type=Event)


def pass_on(app: faust.App, args: argparse.Namespace) -> None:
    out = app.topic(args.out or f"{args.group}-out", key_type=str, value_type=Event)

    @app.agent(events(app, args.events))
    async def passed(stream):
        async for key, event in stream.items():
            await out.send(key=key, value=event)


def count(app: faust.App, args: argparse.Namespace) -> faust.Table:
    counts = app.Table("counts", default=int)

    @app.agent(events(app, args.events))
    async def counted(stream):
        async for event in stream:
            counts[event.page] += 1

    return counts


def regroup(app: faust.App, args: argparse.Namespace) -> None:
    counts = app.Table("counts", default=int)
    # Named here, for the name that Faust makes does not begin with the group.
    by_user = app.topic(f"{args.group}-user-repartition", key_type=str, value_type=Event, internal=True)

    @app.agent(events(app, args.events))
    async def counted(stream):
        async for event in stream.group_by(Event.user, topic=by_user):
            counts[event.user] += 1


def shared(app: faust.App, args: argparse.Namespace) -> None:
    counts = app.Table("counts", default=int)

    @app.agent(events(app, args.events))
    async def counted_events(stream):
        async for event in stream:
            counts[event.page] += 1

    @app.agent(events(app, args.others))
    async def counted_others(stream):
        async for event in stream:
            counts[event.page] += 1

    @app.timer(1.0)
    async def summed():
        print("sum", sum(counts.values()), flush=True)


def total(app: faust.App, args: argparse.Namespace) -> None:
    totals = app.GlobalTable("total", default=int)

    @app.agent(events(app, args.events))
    async def counted(stream):
        async for _ in stream:
            totals["all"] += 1


def serve(app: faust.App, args: argparse.Namespace) -> None:
    counts = count(app, args)

    @app.page("/counts/{page}")
    async def row(web, request, page):
        # Not `counts.get(page)`: the table's default would make a row of what has none.
        if page not in counts:
            return web.text("no such row", status=404)
        return web.text(str(counts[page]))


JOBS = {
    "pass": pass_on,
    "count": count,
    "regroup": regroup,
    "shared": shared,
    "total": total,
    "serve": serve,
}


def main() -> None:
    args = arguments()
    if args.guarantee == "exactly-once":
        refuse("Faust's exactly_once gives wrong rows even when nothing fails: 7 and 64 of 40,000 events were missing in two tries")
    if args.threads > 1:
        refuse("a Faust worker has one thread: start more workers")
    if args.job == "serve" and args.http is None:
        sys.exit("the job serve needs --http PORT")
    app = make_app(args)
    JOBS[args.job](app, args)
    faust.Worker(app, loglevel="WARNING", quiet=True).execute_from_commandline()


main()
