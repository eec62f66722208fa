package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// readBareGo is a goroutine for each stream that reads and looks at nothing: what Go's sockets cost by themselves.
func readBareGo(ctx context.Context, r *reading) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range r.streams {
		wg.Go(func() {
			if err := r.readStream(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (r *reading) readStream(ctx context.Context, i int) error {
	if !sleepUntil(ctx, r.begin(i)) {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.target.url.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(r.request); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		r.bytes[i].n.Add(int64(n))
		if err == io.EOF {
			return r.ended()
		}
		if err != nil {
			return err
		}
	}
}

// ended says what is wrong with an answer that ends now.
func (r *reading) ended() error {
	if time.Now().Before(r.close) {
		return fmt.Errorf("an answer of %d tokens ended within the window", r.tokens)
	}
	return nil
}
