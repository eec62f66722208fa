package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// errSilent fails a run that has said already what is wrong.
var errSilent = errors.New("see the output")

// shares is the value of --loads: 30,60,90,110, in per cent.
type shares []float64

// Set implements kingpin.Value.
func (s *shares) Set(text string) error {
	*s = nil
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(n > 0 && n <= 200) {
			return fmt.Errorf("%q: want per cent above 0 and up to 200, as 30,60,90,110", text)
		}
		*s = append(*s, n/100)
	}
	slices.Sort(*s)
	return nil
}

// String implements kingpin.Value.
func (s *shares) String() string {
	parts := make([]string, len(*s))
	for i, share := range *s {
		parts[i] = strconv.FormatFloat(100*share, 'g', 4, 64)
	}
	return strings.Join(parts, ",")
}

// setting is what is asked of a run.
type setting struct {
	loads    shares
	quiet    time.Duration // asked without load, first
	duration time.Duration // at each load
	stderr   io.Writer
}

// run is the command.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	app := kingpin.New("queuewait", "Measure how right each source of the queue wait is.")
	app.Writer(stdout).Terminate(func(int) { err = errSilent })
	var (
		s          = setting{loads: shares{0.3, 0.6, 0.9, 1.1}, stderr: stderr}
		only       = app.Flag("dialects", "The dialects to ask, of vllm, tgi, llamacpp, ollama.").Default("vllm,tgi,llamacpp,ollama").String()
		output     = app.Flag("output", "text, or json.").Default("text").Enum("text", "json")
		listen     = app.Flag("serve", "Be the server, at this address.").Hidden().String()
		speak      = app.Flag("dialect", "What the server speaks.").Hidden().Default("vllm").String()
		watchStdin = app.Flag("watch-stdin", "End the server with its stdin.").Hidden().Bool()
	)
	app.Flag("loads", "Shares of the server's capacity, in per cent.").SetValue(&s.loads)
	app.Flag("duration", "How long each load lasts, for vllm; the others get half of it.").Default("22s").DurationVar(&s.duration)
	app.Flag("quiet", "How long vllm is asked without load, first.").Default("20s").DurationVar(&s.quiet)
	if _, perr := app.Parse(args); perr != nil {
		return perr
	}
	if err != nil {
		return nil // --help
	}
	if s.duration <= 0 || s.quiet <= 0 {
		return errors.New("--duration and --quiet must be above 0")
	}
	if *listen != "" {
		if !*watchStdin {
			stdin = nil
		}
		return serve(ctx, *listen, *speak, stdin, stdout)
	}
	var asked []dialect
	for name := range strings.SplitSeq(*only, ",") {
		d, ok := lookup(strings.TrimSpace(name))
		if !ok {
			return fmt.Errorf("--dialects: %q is none of vllm, tgi, llamacpp, ollama", name)
		}
		asked = append(asked, d)
	}
	r, err := s.measure(ctx, asked)
	if err != nil {
		return err
	}
	return r.write(stdout, *output)
}

// measure asks one dialect after the other.
func (s *setting) measure(ctx context.Context, asked []dialect) (*report, error) {
	r := newReport(s.loads)
	for _, d := range asked {
		if err := s.measureDialect(ctx, d, r); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return r, nil
}
