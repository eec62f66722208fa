package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// errSilent fails the run whose report has said already what is wrong.
var errSilent = errors.New("see the report")

// counts is the value of --streams: 1,10,100.
type counts []int

// Set implements kingpin.Value.
func (c *counts) Set(s string) error {
	*c = nil
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return fmt.Errorf("%q: want numbers above 0, as 1,10,100", s)
		}
		*c = append(*c, n)
	}
	return nil
}

// String implements kingpin.Value.
func (c *counts) String() string {
	s := make([]string, len(*c))
	for i, n := range *c {
		s[i] = strconv.Itoa(n)
	}
	return strings.Join(s, ",")
}

// run is the command.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	app := kingpin.New("accuracy", "Measure how right the prober's times are, what they cost, and how many streams it bears.")
	app.Writer(stdout).Terminate(func(int) { err = errSilent })
	var (
		s          = setting{stderr: stderr}
		streams    = counts{1, 10, 100, 500, 1000}
		scale      = app.Flag("scale", "Hold this many streams open, each with about one event a second, instead of all else.").Int()
		duration   = app.Flag("duration", "How long streams ask again and again, or are held open.").Default("20s").Duration()
		output     = app.Flag("output", "text, or json: an object a line, one for each number of streams.").Default("text").Enum("text", "json")
		profile    = app.Flag("cpuprofile", "Write a CPU profile of the client to this file.").PlaceHolder("FILE").String()
		listen     = app.Flag("serve", "Be the server, at this address.").Hidden().String()
		watchStdin = app.Flag("watch-stdin", "End the server with its stdin.").Hidden().Bool()
	)
	app.Flag("streams", "Numbers of streams to measure, one after the other.").SetValue(&streams)
	app.Flag("first-token", "The server's time to the first token.").Default("50ms").DurationVar(&s.pace.firstToken)
	app.Flag("per-token", "The server's time between tokens: 10ms, or 1s with --scale.").DurationVar(&s.pace.perToken)
	app.Flag("tokens", "Tokens in each answer.").Default("100").IntVar(&s.tokens)
	app.Flag("rounds", "Rounds of the comparison of costs; 0: none.").Default("5").IntVar(&s.rounds)
	app.Flag("fresh", "Open a connection for each request.").BoolVar(&s.fresh)
	app.Flag("together", "Begin all streams at once, as benchmark clients do.").BoolVar(&s.together)
	app.Flag("over", "How bytes travel: http, https, or http2 (under TLS).").Default(overTCP).EnumVar(&s.over, overTCP, overTLS, overHTTP2)
	app.Flag("url", "A simulator that runs already, with the same times, instead of one of our own.").StringVar(&s.url)
	if _, perr := app.Parse(args); perr != nil {
		return perr
	}
	if err != nil {
		return nil // --help
	}
	s.duration = *duration
	if s.pace.perToken == 0 {
		s.pace.perToken = 10 * time.Millisecond
		if *scale > 0 {
			s.pace.perToken = time.Second
		}
	}
	if s.pace.firstToken <= 0 || s.pace.perToken <= 0 || s.tokens < 2 || s.duration <= 0 || *scale < 0 || s.rounds < 0 {
		return errors.New("--first-token, --per-token and --duration must be above 0, --tokens above 1, --scale and --rounds not below 0")
	}
	if *listen != "" {
		if !*watchStdin {
			stdin = nil
		}
		return serve(ctx, *listen, s.over, s.pace, stdin, stdout)
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if *scale > 0 {
		return s.scale(ctx, *scale, stdout, *output)
	}
	return s.matrix(ctx, streams, stdout, *output)
}

// matrix measures one row after the other, each against a server of its own.
func (s *setting) matrix(ctx context.Context, streams counts, stdout io.Writer, output string) error {
	sound := true
	for i, n := range streams {
		r, err := against(ctx, s, s.pace, func(target *server) (*row, error) { return s.measure(ctx, target, n) })
		if err != nil {
			return fmt.Errorf("%d streams: %w", n, err)
		}
		if err := writeRow(stdout, output, r, i == 0); err != nil {
			return err
		}
		sound = sound && r.EventsLost == 0 && r.RequestsFailed == 0
	}
	if !sound {
		return errSilent
	}
	return nil
}
