package main

import (
	"fmt"
	"sync/atomic"

	"github.com/lovoo/goka"
	"github.com/lovoo/goka/codec"
)

// visitSum is the name of the visit that adds up the rows.
const visitSum = "sum"

// graph is the job as Goka has it: the topics of a group, and what is done with each message.
func graph(args *arguments) (*goka.GroupGraph, error) {
	group := goka.Group(args.group)
	events := goka.Stream(args.events)
	counts := goka.Persist(new(codec.Int64))
	switch args.job {
	case "pass":
		out := goka.Stream(args.out)
		pass := func(ctx goka.Context, message any) { ctx.Emit(out, ctx.Key(), message) }
		return goka.DefineGroup(group, goka.Input(events, eventCodec{}, pass), goka.Output(out, eventCodec{})), nil
	case "count", "serve":
		return goka.DefineGroup(group, goka.Input(events, eventCodec{}, count), counts), nil
	case "regroup":
		regroup := func(ctx goka.Context, message any) { ctx.Loopback(message.(*event).User, message) }
		return goka.DefineGroup(group, goka.Input(events, eventCodec{}, regroup), goka.Loop(eventCodec{}, count), counts), nil
	case "shared":
		others := goka.Input(goka.Stream(args.others), eventCodec{}, count)
		return goka.DefineGroup(group, goka.Input(events, eventCodec{}, count), others, goka.Visitor(visitSum, sum), counts), nil
	case "total":
		toAll := func(ctx goka.Context, _ any) { ctx.Loopback("all", int64(1)) }
		return goka.DefineGroup(group, goka.Input(events, eventCodec{}, toAll), goka.Loop(new(codec.Int64), count), counts), nil
	default:
		return nil, refusal(fmt.Sprintf("this program has no job `%s`", args.job))
	}
}

// count adds one to the row of the message's key.
func count(ctx goka.Context, _ any) {
	counted, _ := ctx.Value().(int64)
	ctx.SetValue(counted + 1)
}

// sum adds the row that is visited to the total of this visit.
func sum(ctx goka.Context, total any) {
	total.(*atomic.Int64).Add(ctx.Value().(int64))
}
