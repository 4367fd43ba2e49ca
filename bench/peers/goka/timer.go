package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lovoo/goka"
)

// sumEverySecond visits all rows of the processor's partitions, each in turn with the messages. Goka has no timers: this is a
// goroutine that asks for the visit.
func sumEverySecond(ctx context.Context, processor *goka.Processor) error {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if !processor.Recovered() {
			continue
		}
		var total atomic.Int64
		// A visit that a rebalance breaks off has not read every row: no sum.
		if err := processor.VisitAll(ctx, visitSum, &total); err == nil {
			fmt.Println("sum", total.Load())
		}
	}
}
