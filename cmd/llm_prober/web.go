package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
	"go.yaml.in/yaml/v4"
	"golang.org/x/sync/errgroup"

	"github.com/llmprober/llm_prober/internal/api"
)

// webFlags say where and how the prober is served.
type webFlags struct {
	toolkit   *toolkit.FlagConfig
	lifecycle bool
}

func addWebFlags(cmd *kingpin.CmdClause) *webFlags {
	f := &webFlags{toolkit: kingpinflag.AddFlags(cmd, ":9779")}
	cmd.Flag("web.enable-lifecycle", "Allow reloads, and starting and stopping ramps, over HTTP.").BoolVar(&f.lifecycle)
	return f
}

// serve answers on every address until ctx ends, and then gives requests under way a moment to finish.
//
// Each address has a server of its own: exporter-toolkit puts its authentication around a server's handler when it
// starts to listen, and does so twice where two listeners share one.
func (f *webFlags) serve(ctx context.Context, handler http.Handler, logger *slog.Logger) error {
	if err := checkWebConfig(*f.toolkit.WebConfigFile); err != nil {
		return err
	}
	listen := [][]string{*f.toolkit.WebListenAddresses}
	if !*f.toolkit.WebSystemdSocket {
		listen = nil
		for _, address := range *f.toolkit.WebListenAddresses {
			listen = append(listen, []string{address})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, addresses := range listen {
		server := &http.Server{
			Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			// A reader that no longer reads must not keep its answer in memory for ever: no page takes this long. What may is
			// sent by who grants each part of it a time: /metrics, live pages, the requests of a run.
			ReadTimeout: 30 * time.Second, WriteTimeout: 20 * time.Second,
			MaxHeaderBytes: maxRequestHeader,
			ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		}
		flags := *f.toolkit
		flags.WebListenAddresses = &addresses
		group.Go(func() error {
			if err := toolkit.ListenAndServe(server, &flags, logger); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on %v: %w", addresses, err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if server.Shutdown(grace) != nil {
				server.Close() // a reader of a live page stays for ever
			}
			return nil
		})
	}
	return group.Wait()
}

// routes puts all that is served together.
func (f *webFlags) routes(d *daemon, metrics, pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("GET /metrics", metrics)
	mux.Handle(api.Prefix+"/", d.programs.handler(f.lifecycle))
	mux.Handle("GET /probe", d.onDemand)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "llm_prober is healthy.\n")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !d.ready() {
			http.Error(w, "llm_prober is not ready: no schedule is running yet.", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "llm_prober is ready.\n")
	})
	mux.HandleFunc("POST /-/reload", func(w http.ResponseWriter, _ *http.Request) {
		if !f.lifecycle {
			http.Error(w, "Reloading over HTTP is switched off: start with --web.enable-lifecycle, or send SIGHUP.", http.StatusForbidden)
			return
		}
		if err := d.reload(); err != nil {
			http.Error(w, fmt.Sprintf("The old configuration stays in force:\n%v", err), http.StatusBadRequest)
			return
		}
		io.WriteString(w, "reloaded\n")
	})
	mux.HandleFunc("/-/reload", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Only POST reloads.", http.StatusMethodNotAllowed)
	})
	return secured(http.NewCrossOriginProtection().Handler(mux))
}

// maxRequestHeader bounds the header of a request, in bytes: net/http's own bound is sixteen times as high. It adds 4 KiB.
const maxRequestHeader = 64 << 10

// secured sets the headers that hold browsers to what we serve, which is text and data: the pages say themselves what more
// they need. It answers nobody who came over a TLS that is too old, whatever the web configuration has become meanwhile.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		if r.TLS != nil && r.TLS.Version < tls.VersionTLS12 {
			http.Error(w, "TLS before 1.2 is not spoken.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// checkWebConfig refuses a web configuration that allows TLS before 1.2. What else it says is exporter-toolkit's to check.
func checkWebConfig(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--web.config.file: %w", err)
	}
	var c struct {
		TLS struct {
			Min string `yaml:"min_version"`
			Max string `yaml:"max_version"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		return nil // exporter-toolkit says what is wrong with it, and starts nothing
	}
	for key, version := range map[string]string{"min_version": c.TLS.Min, "max_version": c.TLS.Max} {
		if version == "TLS10" || version == "TLS11" {
			return fmt.Errorf("--web.config.file=%s: %s: %s is broken, and not spoken: leave it out, or write TLS12 or TLS13", file, key, version)
		}
	}
	return nil
}
