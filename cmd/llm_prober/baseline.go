package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/printable"
)

// addBaselineCommands adds what pins the numbers that later ones are held against.
func addBaselineCommands(app *kingpin.Application, add func(*kingpin.CmdClause, command)) {
	cmd := app.Command("baseline", "Pin what is usual, for alerts that never forget.")

	c := new(baselineCommand)
	save := cmd.Command("save", "Save a target's baseline: of a run, or of what Prometheus has.")
	save.HelpLong("It is exported as " + collector.NameBaseline + " by the prober on the same --storage.path, until another one is saved.\n" +
		"A run counts with its stages without load; Prometheus with all continuous probes over the window.\n\n" +
		"  llm_prober baseline save chat --prometheus.url=http://prometheus:9090 --window=24h\n" +
		"  llm_prober baseline save chat --run=20261122T020000Z-baseline-1f3a9c02")
	save.Arg("target", "The target.").Required().StringVar(&c.target)
	save.Flag("run", "Id of a run, or the name of a pinned one.").PlaceHolder("ID").StringVar(&c.runID)
	save.Flag("prometheus.url", "Address of Prometheus.").PlaceHolder("URL").URLVar(&c.prometheus)
	save.Flag("prometheus.http-config", "File with the HTTP client's credentials and TLS, as Prometheus writes them.").PlaceHolder("FILE").StringVar(&c.httpConfig)
	save.Flag("window", "How far back to look in Prometheus.").Default("24h").DurationVar(&c.window)
	addStoragePath(save, &c.storage)
	c.do = c.save
	add(save, c)

	l := new(baselineCommand)
	list := cmd.Command("list", "List the saved baselines.").Alias("show")
	list.HelpLong("  llm_prober baseline list")
	addStoragePath(list, &l.storage)
	l.do = l.list
	add(list, l)

	r := new(baselineCommand)
	drop := cmd.Command("drop", "Remove a target's baseline.")
	drop.HelpLong("  llm_prober baseline drop chat")
	drop.Arg("target", "The target.").Required().StringVar(&r.target)
	addStoragePath(drop, &r.storage)
	r.do = func(_ context.Context, _ env, store *runs.Store) error { return store.DropBaseline(r.target) }
	add(drop, r)
}

type baselineCommand struct {
	storage, target, runID, httpConfig string
	prometheus                         *url.URL
	window                             time.Duration
	do                                 func(context.Context, env, *runs.Store) error
}

func (c *baselineCommand) run(ctx context.Context, e env) error {
	s := (&storageFlags{path: c.storage}).storage(e.logger)
	store := s.open()
	if store == nil {
		return errSilent // the log says why
	}
	defer s.close()
	return c.do(ctx, e, store)
}

func (c *baselineCommand) save(ctx context.Context, e env, store *runs.Store) error {
	var values []runs.BaselineValue
	var err error
	switch {
	case (c.runID == "") == (c.prometheus == nil):
		return errors.New("give either --run or --prometheus.url")
	case c.prometheus != nil && c.prometheus.User != nil:
		return errors.New("--prometheus.url: a user and password in it would show in process lists: use --prometheus.http-config")
	case c.runID != "":
		values, err = c.ofRun(store)
	default:
		values, err = c.ofPrometheus(ctx)
	}
	if err != nil {
		return err
	}
	if err := store.SaveBaseline(c.target, values); err != nil {
		return err
	}
	return c.list(ctx, e, store)
}

// ofRun is what a run found without load.
func (c *baselineCommand) ofRun(store *runs.Store) ([]runs.BaselineValue, error) {
	id := c.runID
	pins, err := store.Pins()
	if err != nil {
		return nil, err
	}
	if pin, ok := pins[id]; ok {
		id = pin.Run
	}
	run, err := store.Load(id)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", id, err)
	}
	if run.Target != c.target {
		return nil, fmt.Errorf("run %s is of the target %s, not of %s", id, printable.Line(run.Target, maxShownName), printable.Line(c.target, maxShownName))
	}
	values := baselinesOf(run)
	if len(values) == 0 {
		return nil, fmt.Errorf("run %s has no stage without load of %d requests of one probe or more: take a ramp with shape baseline, and the verdict pass", id, leastOfBaseline)
	}
	return values, nil
}

// leastOfWindow is how many requests a baseline from Prometheus rests on: of fewer, its 90th percentile would be a matter of luck.
const leastOfWindow = 100

// ofPrometheus is what Prometheus has of the target's probes over the window, from classic or native histograms.
func (c *baselineCommand) ofPrometheus(ctx context.Context) (values []runs.BaselineValue, err error) {
	var httpConfig commoncfg.HTTPClientConfig
	defer func() { err = hideSecrets(&httpConfig, err) }()
	if c.httpConfig != "" {
		loaded, err := loadHTTPConfig(c.httpConfig)
		if err != nil {
			return nil, fmt.Errorf("--prometheus.http-config: %w", err)
		}
		httpConfig = *loaded
	}
	client, err := newHTTPClient(httpConfig, "prometheus", c.prometheus.String())
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()

	selector, window := fmt.Sprintf("{target=%q}", c.target), model.Duration(c.window).String()
	enough := fmt.Sprintf(`and on (target, probe) sum by (target, probe) (increase(%s{target=%q,outcome="ok"}[%s])) >= %d`, collector.NameRequests, c.target, window, leastOfWindow)
	for _, i := range []struct {
		indicator collector.Indicator
		family    string
	}{
		{collector.IndicatorTTFT, collector.NameTimeToFirstToken}, {collector.IndicatorDuration, collector.NameDuration},
		{collector.IndicatorTPOT, collector.NameTimePerOutputToken},
	} {
		for _, q := range []float64{0.5, 0.9} {
			quantile := strconv.FormatFloat(q, 'g', -1, 64)
			query := fmt.Sprintf("(histogram_quantile(%[1]s, sum by (target, probe) (rate(%[2]s%[3]s[%[4]s]))) or "+
				"histogram_quantile(%[1]s, sum by (target, probe, le) (rate(%[2]s_bucket%[3]s[%[4]s])))) %[5]s", quantile, i.family, selector, window, enough)
			vector, err := queryPrometheus(ctx, client, c.prometheus, query)
			if err != nil {
				return nil, err
			}
			for _, sample := range vector {
				if v := float64(sample.Value); v > 0 { // false for NaN
					values = append(values, runs.BaselineValue{
						Probe: string(sample.Metric["probe"]), Indicator: string(i.indicator), Quantile: q, Seconds: v, SavedAt: time.Now(),
					})
				}
			}
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s has no probe of the target %q with %d successful requests or more in the last %s", c.prometheus.Redacted(), c.target, leastOfWindow, window)
	}
	return values, nil
}

// queryPrometheus asks Prometheus for a vector, now.
func queryPrometheus(ctx context.Context, client *http.Client, base *url.URL, query string) (model.Vector, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	u := base.JoinPath("api/v1/query")
	u.RawQuery = url.Values{"query": {query}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	defer response.Body.Close()
	const most = 16 << 20
	var answer struct {
		Status, Error string
		Data          struct{ Result model.Vector }
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("prometheus: HTTP %d: %w", response.StatusCode, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("prometheus: HTTP %d: %s", response.StatusCode, printable.Line(answer.Error, maxShown))
	}
	if slices.Contains(answer.Data.Result, nil) {
		return nil, fmt.Errorf("prometheus: HTTP %d: the answer is no vector", response.StatusCode)
	}
	return answer.Data.Result, nil
}

// list lists what is saved.
func (c *baselineCommand) list(_ context.Context, e env, store *runs.Store) error {
	saved, err := store.Baselines()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tPROBE\tINDICATOR\tQUANTILE\tSECONDS\tSAVED\tRUN")
	for _, target := range slices.Sorted(maps.Keys(saved)) {
		for _, v := range saved[target] {
			fmt.Fprintf(w, "%s\t%s\t%s\t%g\t%.4g\t%s\t%s\n", printable.Line(target, maxShownName), printable.Line(v.Probe, maxShownName), printable.Line(v.Indicator, maxShownName),
				v.Quantile, v.Seconds, v.SavedAt.UTC().Format(time.DateTime), printable.Line(v.Run, maxShownName))
		}
	}
	return w.Flush()
}
