package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"go.yaml.in/yaml/v4"
	"golang.org/x/sync/errgroup"

	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/simulator"
)

//go:embed demo.yml
var demoConfig string

type demoCommand struct{ web *webFlags }

func addDemoCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(demoCommand)
	cmd := app.Command("demo", "Probe an embedded simulated LLM server: no GPU, no key, no network.")
	cmd.HelpLong("Look at http://localhost:9779/ and http://localhost:9779/metrics. Ctrl-C ends it.\n\n  llm_prober demo")
	c.web = addWebFlags(cmd)
	return cmd, c
}

func (c *demoCommand) run(ctx context.Context, e env) error {
	c.web.lifecycle = true // it is a toy: its ramps may be started by whoever looks at it
	server, err := simulator.New(simulator.Options{Seed: 1, MeanOutputTokens: 400, PerRequestMetrics: true, PrefixCache: true, Logger: e.logger})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	file := strings.ReplaceAll(demoConfig, "${server}", "http://"+l.Addr().String())
	load := func() (*config.Config, error) { return config.Parse("demo.yml", []byte(file), config.Options{}) }

	dir, err := os.MkdirTemp("", "llm_prober_demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(e.stdout, "llm_prober demo: a simulated LLM server is being probed.\nLook at %s and at /metrics beside it. Ctrl-C ends it.\n", c.page())
	// The server outlives the daemon, so that probes under way can end in order.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return server.Serve(serving, l) })
	group.Go(func() error {
		defer stop()
		return runDaemon(ctx, e, daemonOptions{load: load, firstWithin: firstWithin, storage: storageFlags{path: dir, maxRuns: 100}}, gpu.Options{}, c.web, 5*time.Second)
	})
	return group.Wait()
}

// page is where to look, as far as the flags say it.
func (c *demoCommand) page() string {
	host, port, err := net.SplitHostPort((*c.web.toolkit.WebListenAddresses)[0])
	if err != nil || port == "0" || *c.web.toolkit.WebSystemdSocket {
		return "the address that the log names"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if servesTLS(*c.web.toolkit.WebConfigFile) {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// servesTLS reports whether a web configuration has TLS. What is wrong with the file is said by who serves.
func servesTLS(file string) bool {
	text, err := os.ReadFile(file)
	var c struct {
		TLS map[string]any `yaml:"tls_server_config"`
	}
	return err == nil && yaml.Unmarshal(text, &c) == nil && len(c.TLS) > 0
}
