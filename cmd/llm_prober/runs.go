package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// addRunsCommands adds what reads and changes the records of runs.
func addRunsCommands(app *kingpin.Application, add func(*kingpin.CmdClause, command)) {
	cmd := app.Command("runs", "List, show, export, merge and pin the records of runs.")
	sub := func(name, help, example string, c *runsCommand) *kingpin.CmdClause {
		clause := cmd.Command(name, help)
		clause.HelpLong("  llm_prober runs " + example)
		addStoragePath(clause, &c.storage)
		add(clause, c)
		return clause
	}

	list := &runsCommand{do: listRuns}
	clause := sub("list", "List runs, the newest first.", "list --ramp=nightly_soak --verdict=fail", list)
	clause.Flag("ramp", "Of this ramp only.").StringVar(&list.filter.Ramp)
	clause.Flag("target", "Of this target only.").StringVar(&list.filter.Target)
	clause.Flag("verdict", "With this verdict only.").StringVar((*string)(&list.filter.Verdict))
	clause.Flag("limit", "How many at most.").Default("30").IntVar(&list.filter.Limit)

	show := &runsCommand{do: showRun}
	clause = sub("show", "Show one run.", "show 20261122T020000Z-nightly_soak-1f3a9c02", show)
	clause.Arg("id", "Id of the run, or the name of a pinned one.").Required().StringVar(&show.id)
	clause.Flag("output", "Form: text, json, junit or markdown.").Default("text").EnumVar(&show.form, "text", "json", "junit", "markdown")
	clause.Flag("report", "Write a page with charts, one file.").PlaceHolder("FILE").StringVar(&show.report)

	export := &runsCommand{do: exportRun}
	clause = sub("export", "Export a run's requests or stages, in the columns that other tools use.", "export ID --what=stages --format=csv > stages.csv", export)
	clause.Arg("id", "Id of the run, or the name of a pinned one.").Required().StringVar(&export.id)
	clause.Flag("what", "requests or stages.").Default("requests").EnumVar(&export.what, "requests", "stages")
	clause.Flag("format", "csv or json.").Default("csv").EnumVar(&export.form, "csv", "json")

	merge := &runsCommand{do: mergeRuns}
	clause = sub("merge", "Add the runs of all shards up to one record.", "merge ID-OF-SHARD-0 ID-OF-SHARD-1", merge)
	clause.Arg("id", "Ids of the shards' runs.").Required().StringsVar(&merge.ids)

	pin := &runsCommand{do: pinRun}
	clause = sub("pin", "Give a run a name, and keep it for ever.", "pin before_batching 20261122T020000Z-nightly_soak-1f3a9c02", pin)
	clause.Arg("name", "The name.").Required().StringVar(&pin.name)
	clause.Arg("id", "Id of the run.").Required().StringVar(&pin.id)

	unpin := &runsCommand{do: unpinRun}
	sub("unpin", "Take a name away.", "unpin before_batching", unpin).Arg("name", "The name.").Required().StringVar(&unpin.name)

	remove := &runsCommand{do: removeRun}
	sub("remove", "Remove a run that is not pinned.", "remove 20261122T020000Z-nightly_soak-1f3a9c02", remove).
		Arg("id", "Id of the run.").Required().StringVar(&remove.id)
}

// runsCommand is one command on the records of runs.
type runsCommand struct {
	storage            string
	filter             runs.Filter
	id, name           string
	ids                []string
	what, form, report string
	do                 func(*runsCommand, env, *storage, *runs.Store) error
}

func (c *runsCommand) run(_ context.Context, e env) error {
	s := (&storageFlags{path: c.storage}).storage(e.logger)
	if !s.exists() {
		return fmt.Errorf("--storage.path=%s: there are no records of runs", c.storage)
	}
	store := s.open()
	if store == nil {
		return errSilent // the log says why
	}
	defer s.close()
	if c.id != "" {
		pins, err := store.Pins()
		if err != nil {
			return err
		}
		if pin, ok := pins[c.id]; ok {
			c.id = pin.Run
		}
	}
	return c.do(c, e, s, store)
}

func listRuns(c *runsCommand, e env, _ *storage, store *runs.Store) error {
	if c.filter.Verdict != "" && !slices.Contains(record.Verdicts(), c.filter.Verdict) {
		return fmt.Errorf("--verdict=%s: want one of %q", c.filter.Verdict, record.Verdicts())
	}
	infos, next, err := store.List(c.filter)
	if err != nil {
		return err
	}
	pins, err := store.Pins()
	if err != nil {
		return err
	}
	names := map[string][]string{}
	for name, pin := range pins {
		names[pin.Run] = append(names[pin.Run], name)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tRAMP\tSHARD\tTARGET\tVERDICT\tSTARTED\tTOOK\tPINNED")
	for _, i := range infos {
		slices.Sort(names[i.ID])
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, printable.Line(i.Ramp, maxShownName), shardText(&i), printable.Line(i.Target, maxShownName),
			printable.Line(string(i.Verdict), maxShownName), i.Started.UTC().Format(time.DateTime),
			i.Ended.Sub(i.Started).Round(time.Second), printable.Line(strings.Join(names[i.ID], ", "), maxShown))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if next != "" {
		fmt.Fprintln(e.stderr, "there are more: give a larger --limit")
	}
	return nil
}

// shardText is which share of the load a run made: 0/4, or 4 of 4 where they were added up.
func shardText(i *runs.Info) string {
	switch {
	case i.Shards == 0:
		return "-"
	case len(i.Merged) > 0:
		return fmt.Sprintf("%d of %d", len(i.Merged), i.Shards)
	}
	return fmt.Sprintf("%d/%d", i.Shard, i.Shards)
}

func showRun(c *runsCommand, e env, _ *storage, store *runs.Store) error {
	run, err := store.Load(c.id)
	if err != nil {
		return fmt.Errorf("run %s: %w", c.id, err)
	}
	if c.report != "" {
		return writeReport(c.report, run)
	}
	return writeRun(e.stdout, run, c.form)
}

func exportRun(c *runsCommand, e env, _ *storage, store *runs.Store) error {
	if c.what == "stages" {
		run, err := store.Load(c.id)
		if err != nil {
			return fmt.Errorf("run %s: %w", c.id, err)
		}
		if c.form == "json" {
			return runs.WriteStagesJSON(e.stdout, run)
		}
		return runs.WriteStagesCSV(e.stdout, run)
	}
	if err := noSum(store, c.id); err != nil {
		return err
	}
	write := runs.WriteRequestsCSV
	if c.form == "json" {
		write = runs.WriteRequestsJSON
	}
	if err := write(e.stdout, store.Requests(c.id)); err != nil {
		if errors.Is(err, runs.ErrNotFound) {
			return fmt.Errorf("run %s: there is no such run, or its requests were not kept", c.id)
		}
		return fmt.Errorf("run %s: %w", c.id, err)
	}
	return nil
}

// noSum is an error where a run is the sum of shards, which has no requests of its own.
func noSum(store *runs.Store, id string) error {
	info, err := store.Info(id)
	if err != nil || len(info.Merged) == 0 {
		return nil // what cannot be read is told where the requests are
	}
	shards, err := sameOccasion(store, &record.Run{
		Ramp: info.Ramp, Target: info.Target, Shards: info.Shards, Set: info.Set, Sets: info.Sets, Nominal: info.Nominal, Started: info.Started, Ended: info.Ended,
	}, func(i *runs.Info) bool { return len(i.Merged) == 0 && slices.Contains(info.Merged, i.Shard) })
	if err != nil {
		return err
	}
	if len(shards) == 0 {
		return fmt.Errorf("run %s is the sum of shards, and has no requests of its own: export those of the shards; their records are not in this directory", id)
	}
	slices.SortStableFunc(shards, func(a, b runs.Info) int { return cmp.Compare(a.Shard, b.Shard) })
	var ids []string
	for _, i := range shards {
		ids = append(ids, i.ID)
	}
	return fmt.Errorf("run %s is the sum of shards, and has no requests of its own: export those of %s", id, strings.Join(ids, ", "))
}

// mergeRuns adds shards up, and judges the sum as a whole run that was made here would have been.
func mergeRuns(c *runsCommand, e env, s *storage, store *runs.Store) error {
	var shards []*record.Run
	for _, id := range c.ids {
		run, err := store.Load(id)
		if err != nil {
			return fmt.Errorf("run %s: %w", id, err)
		}
		shards = append(shards, run)
	}
	merged, err := record.Merge(shards)
	if err != nil {
		return err
	}
	before, err := sumsOf(store, merged)
	if err != nil {
		return err
	}
	var fewer []string // records of some of these shards
	for _, info := range before {
		if slices.Equal(info.Merged, merged.Merged) {
			return fmt.Errorf("merge: these shards are added up already, in run %s; to add them up anew, first: llm_prober runs remove %s", info.ID, info.ID)
		}
		if !slices.ContainsFunc(info.Merged, func(shard int) bool { return !slices.Contains(merged.Merged, shard) }) {
			fewer = append(fewer, info.ID)
		}
	}
	merged.ID = runs.NewID(merged.Started, merged.Ramp)
	if err := s.judgeSum(merged, shards); err != nil {
		return err
	}
	w, err := store.Begin(merged.ID)
	if err != nil {
		return err
	}
	defer w.Discard() // nothing after a commit
	if err := w.Commit(merged); err != nil {
		return err
	}
	for _, id := range fewer {
		fmt.Fprintf(e.stderr, "run %s has fewer of these shards; it is compared with nothing, and can go: llm_prober runs remove %s\n", id, id)
	}
	return writeRun(e.stdout, merged, "text")
}

// judgeSum judges merged shards by what the record has of the ramp's configuration, and by the whole runs that are kept here.
func (s *storage) judgeSum(merged *record.Run, shards []*record.Run) error {
	var used struct {
		Ramp struct {
			Compare *config.Compare `json:"compare"`
			Repeat  int             `json:"repeat"`
		} `json:"ramp"`
	}
	if len(merged.Config) > 0 {
		if err := json.Unmarshal(merged.Config, &used); err != nil {
			return fmt.Errorf("run %s: its configuration cannot be read: %w", shards[0].ID, err)
		}
	}
	var o judge.Options
	var history []*record.Run
	if compare := used.Ramp.Compare; compare != nil {
		against, err := s.against(compare)
		if err != nil {
			s.logger.Error("the run is compared with nothing", "err", err)
		} else {
			o.Compare = against
			last, _ := compare.Last()
			history = s.history(merged, lookedAt(last*max(used.Ramp.Repeat, 1)))
		}
	}
	judge.JudgeSum(merged, shards, history, o)
	return nil
}

// sumsOf lists the records of added up shards that are of one run with the given one, which is one of these too.
func sumsOf(store *runs.Store, merged *record.Run) ([]runs.Info, error) {
	return sameOccasion(store, merged, func(i *runs.Info) bool { return len(i.Merged) > 0 })
}

// sameOccasion lists the records of shards, or of their sums, that are of one run with the given sum. Shards that were given no
// time to begin at are of one run if they were under way together.
func sameOccasion(store *runs.Store, of *record.Run, wanted func(*runs.Info) bool) ([]runs.Info, error) {
	infos, _, err := store.List(runs.Filter{Ramp: of.Ramp, Target: of.Target})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(infos, func(i runs.Info) bool {
		same := i.Shards == of.Shards && i.Set == of.Set && i.Sets == of.Sets && i.Nominal.Equal(of.Nominal)
		if of.Nominal.IsZero() {
			same = same && !i.Started.After(of.Ended) && !of.Started.After(i.Ended)
		}
		return !same || !wanted(&i)
	}), nil
}

func pinRun(c *runsCommand, e env, _ *storage, store *runs.Store) error {
	if err := store.Pin(c.name, c.id); err != nil {
		return fmt.Errorf("run %s: %w", c.id, err)
	}
	_, err := io.WriteString(e.stdout, fmt.Sprintf("%s is %s\n", printable.Line(c.name, maxShownName), c.id))
	return err
}

func unpinRun(c *runsCommand, _ env, _ *storage, store *runs.Store) error { return store.Unpin(c.name) }

func removeRun(c *runsCommand, _ env, _ *storage, store *runs.Store) error {
	if err := store.Remove(c.id); err != nil {
		return fmt.Errorf("run %s: %w", c.id, err)
	}
	return nil
}
