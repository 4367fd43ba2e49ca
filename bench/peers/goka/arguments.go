package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// arguments is the command line that all peers have.
type arguments struct {
	job     string
	brokers string
	group   string
	onDisk  bool
	dir     string
	commit  time.Duration
	session time.Duration
	http    int
	events  string
	others  string
	out     string
}

// refusal is what this system cannot do: one line, and exit code 3.
type refusal string

func (r refusal) Error() string { return string(r) }

func parse(words []string) (*arguments, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("the first argument is the job")
	}
	given := arguments{job: words[0]}
	flags := flag.NewFlagSet("goka-peer", flag.ContinueOnError)
	flags.StringVar(&given.brokers, "brokers", "", "Kafka's bootstrap servers")
	flags.StringVar(&given.group, "group", "", "the consumer group")
	guarantee := flags.String("guarantee", "exactly-once", "at-least-once or exactly-once")
	store := flags.String("store", "memory", "memory or disk")
	flags.StringVar(&given.dir, "dir", "", "where the tables are on disk")
	flags.Int("threads", 1, "has no effect: each partition has a goroutine of its own")
	commitMs := flags.Int("commit-ms", 100, "the commit interval")
	flags.Int("cache-mb", 10, "has no effect: there is no write cache")
	sessionMs := flags.Int("session-ms", 10000, "the group's session time-out")
	flags.IntVar(&given.http, "http", 0, "with the job `serve`: the port on loopback")
	flags.StringVar(&given.events, "events", "events", "the topic of events")
	flags.StringVar(&given.others, "others", "others", "the other topic of events")
	flags.StringVar(&given.out, "out", "", "the topic that the job `pass` writes")
	if err := flags.Parse(words[1:]); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("not `--NAME VALUE`: %s", flags.Arg(0))
	}
	if given.brokers == "" || given.group == "" {
		return nil, fmt.Errorf("--brokers or --group is missing")
	}

	switch *guarantee {
	case "at-least-once":
	case "exactly-once":
		return nil, refusal("Goka has no exactly once: it processes at least once")
	default:
		return nil, refusal(fmt.Sprintf("Goka has no guarantee `%s`", *guarantee))
	}
	switch *store {
	case "memory":
	case "disk":
		given.onDisk = true
	default:
		return nil, refusal(fmt.Sprintf("Goka has no store `%s`", *store))
	}

	if given.job == "serve" && given.http == 0 {
		return nil, fmt.Errorf("--http is missing")
	}
	if given.dir == "" {
		dir, err := os.MkdirTemp("", given.group)
		if err != nil {
			return nil, err
		}
		given.dir = dir
	}
	if given.out == "" {
		given.out = given.group + "-out"
	}
	given.commit = time.Duration(*commitMs) * time.Millisecond
	given.session = time.Duration(*sessionMs) * time.Millisecond
	return &given, nil
}
