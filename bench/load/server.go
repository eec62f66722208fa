package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A server answers as an OpenAI server does, with the least work: short requests with one chunk, and those to the path of
// streams with a chunk each second until they have had enough.
type server struct {
	hold time.Duration // how long a stream lasts

	mu    sync.Mutex
	conns map[net.Conn]bool
	done  bool
}

const (
	shortPath  = "/short/chat/completions"
	streamPath = "/stream/chat/completions"
	header     = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	token      = `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	last       = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// chunk is text as HTTP's chunked coding has it.
func chunk(text string) string {
	return strconv.FormatInt(int64(len(text)), 16) + "\r\n" + text + "\r\n"
}

// serve answers until ctx ends.
func (s *server) serve(ctx context.Context, l net.Listener) {
	s.conns = map[net.Conn]bool{}
	stop := context.AfterFunc(ctx, func() {
		l.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done = true
		for c := range s.conns {
			c.Close()
		}
	})
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.done {
			c.Close()
		}
		s.conns[c] = true
		s.mu.Unlock()
		wg.Go(func() {
			s.answer(ctx, c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// answer answers the requests of one connection.
func (s *server) answer(ctx context.Context, c net.Conn) {
	r := bufio.NewReaderSize(c, 1024)
	short := []byte(header + chunk(token) + chunk(last) + "0\r\n\r\n")
	for {
		path, err := read(r)
		if err != nil {
			return
		}
		if path == shortPath {
			if _, err := c.Write(short); err != nil {
				return
			}
			continue
		}
		if err := s.stream(ctx, c); err != nil {
			return
		}
	}
}

// stream sends a token each second.
func (s *server) stream(ctx context.Context, c net.Conn) error {
	if _, err := io.WriteString(c, header+chunk(token)); err != nil {
		return err
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for end := time.Now().Add(s.hold); time.Now().Before(end); {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := io.WriteString(c, chunk(token)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(c, chunk(last)+"0\r\n\r\n")
	return err
}

// read reads one request, and returns its path.
func read(r *bufio.Reader) (path string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return "", fmt.Errorf("%q is no request", line)
	}
	length := -1
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			break
		}
		if strings.EqualFold(name, "content-length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return "", err
			}
		}
	}
	if length < 0 {
		return "", errors.New("a request without a length")
	}
	_, err = r.Discard(length)
	return fields[1], err
}
