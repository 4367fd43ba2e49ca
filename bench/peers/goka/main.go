// Does one job with Goka until it is told to stop.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lovoo/goka"
	"github.com/lovoo/goka/codec"
	"golang.org/x/sync/errgroup"
)

const (
	failed  = 1
	usage   = 2
	refused = 3
)

func main() {
	args, err := parse(os.Args[1:])
	if err != nil {
		end(err, usage)
	}
	work, err := graph(args)
	if err != nil {
		end(err, usage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, args, work); err != nil {
		end(err, failed)
	}
}

func end(err error, code int) {
	fmt.Fprintln(os.Stderr, err)
	if errors.As(err, new(refusal)) {
		code = refused
	}
	os.Exit(code)
}

func run(ctx context.Context, args *arguments, work *goka.GroupGraph) error {
	configure(args)
	brokers := strings.Split(args.brokers, ",")
	processor, err := newProcessor(brokers, args, work)
	if err != nil {
		return err
	}

	if work.GroupTable() != nil {
		if err := waitForTable(ctx, brokers, work.GroupTable().Topic()); err != nil {
			return err
		}
	}

	// What ends, ends the others.
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return processor.Run(ctx) })
	switch args.job {
	case "shared":
		tasks.Go(func() error { return sumEverySecond(ctx, processor) })
	case "serve":
		view, err := newView(brokers, args)
		if err != nil {
			return err
		}
		counts := counts{processor, view}
		tasks.Go(func() error { return view.Run(ctx) })
		tasks.Go(func() error { return counts.serve(ctx, args.http) })
	case "total":
		// With it every worker has the row, whoever owns it.
		view, err := newView(brokers, args)
		if err != nil {
			return err
		}
		tasks.Go(func() error { return view.Run(ctx) })
	}
	return tasks.Wait()
}

func newProcessor(brokers []string, args *arguments, work *goka.GroupGraph) (*goka.Processor, error) {
	try := func() (*goka.Processor, error) {
		return goka.NewProcessor(brokers, work,
			goka.WithStorageBuilder(store(args, "processor")),
			goka.WithTopicManagerBuilder(topicManager()),
			goka.WithHasher(newMurmur2))
	}
	processor, err := try()
	if err != nil {
		// Of two workers that start at once, one finds that the other has just made the table.
		time.Sleep(time.Second)
		processor, err = try()
	}
	return processor, err
}

func newView(brokers []string, args *arguments) (*goka.View, error) {
	return goka.NewView(brokers, goka.GroupTable(goka.Group(args.group)), new(codec.Int64),
		goka.WithViewStorageBuilder(store(args, "view")),
		goka.WithViewHasher(newMurmur2))
}
