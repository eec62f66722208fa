package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// serve is the server process. It says on stdout where it listens, and answers until ctx ends; where watch is given,
// also until that ends, so that it cannot outlive the process at its other end.
func serve(ctx context.Context, listen, speak string, watch io.Reader, stdout io.Writer) error {
	d, ok := lookup(speak)
	if !ok {
		return fmt.Errorf("--dialect: %q is none", speak)
	}
	s, err := simulator.New(d.options())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "http://"+l.Addr().String())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	if watch != nil {
		wg.Go(func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, watch) // its end is what counts
		})
	}
	err = s.Serve(ctx, l)
	wg.Wait()
	return err
}

// server is that process, seen from its parent.
type server struct {
	root  *url.URL
	cmd   *exec.Cmd
	stdin io.Closer
}

// startServer runs this very program as a server on a loopback port of its choice.
func startServer(ctx context.Context, d dialect, stderr io.Writer) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "--serve=127.0.0.1:0", "--watch-stdin", "--dialect="+d.name)
	cmd.Stderr = stderr
	cmd.WaitDelay = 10 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	s := &server{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		s.root, err = url.Parse(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start server: %w", err), s.stop())
	}
	return s, nil
}

// stop ends the process and waits for it.
func (s *server) stop() error {
	s.stdin.Close() //nolint:errcheck // it is gone, or sees the end
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// get fetches what the server says beside its answers.
func (s *server) get(ctx context.Context, path string) (io.ReadCloser, error) {
	u, err := s.root.Parse(path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", u, resp.Status)
	}
	return resp.Body, nil
}

// truth is what really happened to one request, with its tokens.
func (s *server) truth(ctx context.Context, id string) (t simulator.Truth, err error) {
	body, err := s.get(ctx, "/ground_truth?request_id="+id)
	if err != nil {
		return t, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&t); err != nil {
		return t, fmt.Errorf("ground truth of %s: %w", id, err)
	}
	if t.QueueWait == nil || t.FirstToken == nil || len(t.Tokens) == 0 {
		return t, fmt.Errorf("ground truth of %s: it has no first token", id)
	}
	return t, nil
}

// truths is what really happened to all requests, without their tokens.
func (s *server) truths(ctx context.Context) (list []simulator.Truth, err error) {
	body, err := s.get(ctx, "/ground_truth")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return nil, fmt.Errorf("ground truth: %w", err)
	}
	return list, nil
}

// reading is vLLM's histogram of queue waits at one moment.
type reading struct {
	at     time.Time
	totals queuewait.Totals
}

// read takes a reading.
func (s *server) read(ctx context.Context) (reading, error) {
	before := time.Now()
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return reading{}, err
	}
	defer body.Close()
	var r reading
	found := 0
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		var into *float64
		switch name, _, _ = strings.Cut(name, "{"); name {
		case "vllm:request_queue_time_seconds_sum":
			into = &r.totals.Sum
		case "vllm:request_queue_time_seconds_count":
			into = &r.totals.Count
		default:
			continue
		}
		if *into, err = strconv.ParseFloat(value, 64); err != nil {
			return reading{}, err
		}
		found++
	}
	r.at = before.Add(time.Since(before) / 2)
	if found != 2 {
		return reading{}, errors.Join(errors.New("the server tells nothing of its queue"), lines.Err())
	}
	return r, nil
}
