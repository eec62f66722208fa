package main

import (
	"bufio"
	"context"
	"crypto/tls"
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
)

// model is the simulated server's.
const model = "sim-8b"

// pace is when the server's tokens are due, whatever the load.
type pace struct {
	firstToken, perToken time.Duration
}

// serve is the server process. It says on stdout where it listens, and answers until ctx ends; where watch is given,
// also until that ends, so that it cannot outlive the process at its other end.
func serve(ctx context.Context, listen, over string, p pace, watch io.Reader, stdout io.Writer) error {
	s, err := simulator.New(simulator.Options{Model: model, FirstToken: p.firstToken, PerToken: p.perToken})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	scheme := "http"
	if over != overTCP {
		conf, err := serverTLS(over)
		if err != nil {
			return err
		}
		scheme, l = "https", tls.NewListener(l, conf)
	}
	fmt.Fprintln(stdout, scheme+"://"+l.Addr().String()+"/v1")
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

// server is that process, seen from its parent; or one that was running before.
type server struct {
	url   *url.URL
	cmd   *exec.Cmd // nil: not ours
	stdin io.Closer
}

// startServer runs this very program as a server on a loopback port of its choice.
func startServer(ctx context.Context, over string, p pace, stderr io.Writer) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "--serve=127.0.0.1:0", "--watch-stdin", "--over="+over,
		"--first-token="+p.firstToken.String(), "--per-token="+p.perToken.String())
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
		s.url, err = url.Parse(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start server: %w", err), s.stop())
	}
	return s, nil
}

// stop ends the process and waits for it.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	s.stdin.Close() //nolint:errcheck // it is gone, or sees the end
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// get fetches what the server says beside its answers.
func (s *server) get(ctx context.Context, path string) (io.ReadCloser, error) {
	u := *s.url
	u.Path = path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // our own child, or told by --url
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", u.String(), resp.Status)
	}
	return resp.Body, nil
}

// made is how many tokens the server has made so far, by its own count.
func (s *server) made(ctx context.Context) (int64, error) {
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name, _, _ = strings.Cut(name, "{"); name != "vllm:generation_tokens_total" {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		return int64(n), err
	}
	return 0, errors.Join(errors.New("the server does not count its tokens"), lines.Err())
}

// arrivals is when each request that the server remembers had been read, as Unix nanoseconds by id.
func (s *server) arrivals(ctx context.Context) (map[string]int64, error) {
	body, err := s.get(ctx, "/ground_truth")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var truths []simulator.Truth
	if err := json.NewDecoder(body).Decode(&truths); err != nil {
		return nil, fmt.Errorf("ground truth: %w", err)
	}
	all := make(map[string]int64, len(truths))
	for _, t := range truths {
		all[t.RequestID] = t.ArrivalUnixNano
	}
	return all, nil
}

// against starts a server for as long as do runs, unless one is given.
func against[T any](ctx context.Context, s *setting, p pace, do func(*server) (T, error)) (result T, err error) {
	target := &server{}
	if s.url != "" {
		if target.url, err = url.Parse(s.url); err != nil {
			return result, err
		}
	} else if target, err = startServer(ctx, s.over, p, s.stderr); err != nil {
		return result, err
	}
	result, err = do(target)
	return result, errors.Join(err, target.stop())
}
