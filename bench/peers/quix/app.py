"""The jobs of the peers, in Quix Streams. See ../README.md for what each one must do, and README.md for what Quix cannot."""

import argparse
import sys
import tempfile

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame

# The jobs that Quix Streams has nothing for, and why.
NOT_POSSIBLE = {
    "shared": "Quix Streams has no timers, and state is read one key at a time: nothing can add up the rows of a partition",
    "total": "Quix Streams has no table that every worker can read: state belongs to one partition",
    "serve": "Quix Streams has no queries of its state: it is read only where a message is processed",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=[*JOBS, *NOT_POSSIBLE])
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--guarantee", default="exactly-once", choices=["at-least-once", "exactly-once"])
    parser.add_argument("--store", default="memory", choices=["memory", "disk"])
    parser.add_argument("--dir")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--commit-ms", type=int, default=100)
    parser.add_argument("--cache-mb", type=int, help="ignored: changes are held until the commit, however many they are")
    parser.add_argument("--session-ms", type=int, default=10_000)
    parser.add_argument("--http", type=int)
    parser.add_argument("--events", default="events")
    parser.add_argument("--others", default="others")
    parser.add_argument("--out")
    return parser.parse_args()


def refuse(why: str) -> None:
    print(why, file=sys.stderr)
    sys.exit(3)


def make_app(args: argparse.Namespace) -> Application:
    return Application(
        broker_address=args.brokers,
        consumer_group=args.group,
        auto_offset_reset="earliest",
        processing_guarantee=args.guarantee,
        commit_interval=args.commit_ms / 1000,
        state_dir=args.dir or tempfile.mkdtemp(prefix="quix-"),
        consumer_extra_config={
            "session.timeout.ms": args.session_ms,
            "heartbeat.interval.ms": args.session_ms // 3,
        },
        # librdkafka's own default is another hash than Kafka's.
        producer_extra_config={"partitioner": "murmur2"},
        loglevel="WARNING",
    )


def events(app: Application, args: argparse.Namespace) -> StreamingDataFrame:
    return app.dataframe(app.topic(args.events, key_deserializer="str"))


def add_one(event: dict, state: State) -> None:
    state.set("count", state.get("count", 0) + 1)


def pass_on(app: Application, args: argparse.Namespace) -> None:
    events(app, args).to_topic(app.topic(args.out or f"{args.group}-out", key_serializer="str"))


def count(app: Application, args: argparse.Namespace) -> None:
    events(app, args).update(add_one, stateful=True)


def regroup(app: Application, args: argparse.Namespace) -> None:
    by_user = events(app, args).group_by("user", key_serializer="str", key_deserializer="str")
    by_user.update(add_one, stateful=True)


JOBS = {"pass": pass_on, "count": count, "regroup": regroup}


def main() -> None:
    args = arguments()
    if args.job in NOT_POSSIBLE:
        refuse(NOT_POSSIBLE[args.job])
    if args.store == "memory" and args.job != "pass":
        refuse("Quix Streams keeps state in RocksDB only")
    if args.threads > 1:
        refuse("a Quix Streams application has one thread: start more of them")
    app = make_app(args)
    JOBS[args.job](app, args)
    app.run()


main()
