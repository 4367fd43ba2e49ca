package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lovoo/goka"
)

// counts answers for rows of the table over HTTP: those of its own partitions from the processor's store, the others from a
// view, which follows the whole table.
type counts struct {
	processor *goka.Processor
	view      *goka.View
}

func (c *counts) serve(ctx context.Context, port int) error {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /counts/{page}", c.answer)
	server := http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), Handler: routes}
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(ending)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (c *counts) answer(response http.ResponseWriter, request *http.Request) {
	if !c.processor.Recovered() {
		http.Error(response, "the table is being read", http.StatusServiceUnavailable)
		return
	}
	page := request.PathValue("page")
	count, err := c.processor.Get(page)
	if err != nil { // the partition is another worker's
		count, err = c.view.Get(page)
	}
	switch {
	case err != nil:
		http.Error(response, err.Error(), http.StatusServiceUnavailable)
	case count == nil:
		http.Error(response, "no such page", http.StatusNotFound)
	default:
		fmt.Fprint(response, count)
	}
}
