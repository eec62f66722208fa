package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"

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

func mergeRuns(c *runsCommand, e env, _ *storage, store *runs.Store) error {
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
	judge.Judge(merged, nil, judge.Options{})
	merged.Verdict = merged.Bound(merged.Verdict)
	if words := merged.MissingWords(); words != "" {
		merged.Reasons = append([]string{words}, merged.Reasons...)
	}
	w, err := store.Begin(runs.NewID(merged.Started, merged.Ramp))
	if err != nil {
		return err
	}
	defer w.Discard() // nothing after a commit
	if err := w.Commit(merged); err != nil {
		return err
	}
	return writeRun(e.stdout, merged, "text")
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
