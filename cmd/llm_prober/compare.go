package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// compareCommand holds runs against others.
type compareCommand struct {
	storage, output string
	old, new        string
	maxRegression   string
}

func addCompareCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(compareCommand)
	cmd := app.Command("compare", "Compare runs: are the new ones worse than the old ones?")
	cmd.HelpLong("Each side is one run or several, separated by commas: ids as `llm_prober runs list` has them, names of pinned\n" +
		"runs, or previous:N for the N passed runs of the ramp before the first new one. What is compared is one number of\n" +
		"each run, so five runs a side, or one new against five old ones, are the least that give a verdict.\n\n" +
		"  llm_prober compare previous:7 20261122T020000Z-nightly_soak-1f3a9c02\n\n" +
		"Exit codes: 0 no worse, 4 regressed, 7 not enough runs; 1 failed, 2 usage.")
	cmd.Arg("old", "The runs that are held against.").Required().StringVar(&c.old)
	cmd.Arg("new", "The runs that are judged.").Required().StringVar(&c.new)
	cmd.Flag("max-regression", "Changes below this share are none.").Default("10%").StringVar(&c.maxRegression)
	cmd.Flag("output", "Form of the output: text, json, junit or markdown.").Default("text").EnumVar(&c.output, "text", "json", "junit", "markdown")
	addStoragePath(cmd, &c.storage)
	return cmd, c
}

func (c *compareCommand) run(_ context.Context, e env) error {
	margin, err := config.ParsePercent(c.maxRegression)
	if err != nil {
		return fmt.Errorf("--max-regression: %w", err)
	}
	s := (&storageFlags{path: c.storage}).storage(e.logger)
	if !s.exists() {
		return fmt.Errorf("--storage.path=%s: there are no records of runs", c.storage)
	}
	defer s.close()
	news, err := s.named(c.new, nil)
	if err != nil {
		return err
	}
	olds, err := s.named(c.old, news[0])
	if err != nil {
		return err
	}
	for _, run := range append(olds, news...) {
		if run.Ramp != news[0].Ramp {
			return fmt.Errorf("%s is a run of the ramp %s, and %s of %s: runs of different ramps do not compare", run.ID, run.Ramp, news[0].ID, news[0].Ramp)
		}
	}
	spread := judge.SpreadOf(news, olds, s.history(news[0], lookedAt(0)))
	result := judge.Compare(news, olds, spread, judge.Margin{MaxRegression: float64(margin)})
	var text []byte
	switch c.output {
	case "json":
		text, err = judge.ComparisonJSON(result)
	case "junit":
		text, err = judge.ComparisonJUnit(result)
	case "markdown":
		text = []byte(judge.ComparisonMarkdown(result))
	default:
		text = []byte(judge.ComparisonText(result))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s\n", strings.TrimRight(string(text), "\n"))
	if result.Verdict == record.Pass {
		return nil
	}
	return verdictExit(result.Verdict)
}

// named loads the runs that a word names: ids, names of pinned runs, or previous:N before a run.
func (s *storage) named(words string, before *record.Run) ([]*record.Run, error) {
	store := s.open()
	if store == nil {
		return nil, errSilent // the log says why
	}
	pins, err := store.Pins()
	if err != nil {
		return nil, err
	}
	var found []*record.Run
	for word := range strings.SplitSeq(words, ",") {
		if n, ok := strings.CutPrefix(word, "previous:"); ok && before != nil {
			last, err := strconv.Atoi(n)
			if err != nil || last < 1 {
				return nil, fmt.Errorf("%q: want previous:N, such as previous:7", word)
			}
			selection := judge.Select(before, s.history(before, lookedAt(last)), fmt.Sprintf("last_%d", last), nil)
			found = append(found, selection.Olds...)
			continue
		}
		id := word
		if pin, ok := pins[word]; ok {
			id = pin.Run
		}
		if !runs.ValidID(id) {
			return nil, fmt.Errorf("%q is neither the id of a run nor the name of a pinned one", word)
		}
		run, err := store.Load(id)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", id, err)
		}
		found = append(found, run)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%q names no run", words)
	}
	return found, nil
}
