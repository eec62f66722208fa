package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Kept is what is on record of a run's single requests.
type Kept struct {
	Schema  int    `json:"schema"`          // of the lines
	Written int    `json:"written"`         // lines in the file
	Dropped int    `json:"dropped"`         // requests that the disk did not take in time, or at all
	Error   string `json:"error,omitempty"` // why it took no more; empty: it was merely slow, or nothing was dropped
}

// Info is what lists say of a run.
type Info struct {
	Schema   int            `json:"schema"`
	ID       string         `json:"id"`
	Ramp     string         `json:"ramp"`
	Target   string         `json:"target"`
	Model    string         `json:"model"`
	Shape    string         `json:"shape,omitempty"`
	Trigger  record.Trigger `json:"trigger"`
	Nominal  time.Time      `json:"nominal,omitzero"`
	Started  time.Time      `json:"started"`
	Ended    time.Time      `json:"ended"`
	Set      int            `json:"set,omitempty"`
	Sets     int            `json:"sets,omitempty"`
	Shard    int            `json:"shard,omitempty"`
	Shards   int            `json:"shards,omitempty"`
	Merged   []int          `json:"merged,omitempty"`
	Verdict  record.Verdict `json:"verdict"`
	Requests *Kept          `json:"requests,omitempty"` // nil: none were kept
}

// infoKeys are the names of Info's fields in run.json, where they come first, in this order.
func infoKeys() []string {
	return []string{"schema", "id", "ramp", "target", "model", "shape", "trigger", "nominal", "started", "ended",
		"set", "sets", "shard", "shards", "merged", "verdict", "requests"}
}

// needed are those without which a list cannot be made.
func needed() []string { return []string{"schema", "id", "ramp", "started", "verdict"} }

// A NewerError says that a record was written by a newer version of the program.
type NewerError struct {
	ID     string
	Schema int // of the record
	Reads  int // what this version reads at most
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("run %s: a newer llm_prober has written it (schema %d; this one reads up to %d): use that version to read it", e.ID, e.Schema, e.Reads)
}

// checkSchema tells whether a record of that version can be read. Every version ever written can, up to our own:
// where a later one needs a change of old records, this is where they are brought up to date.
func checkSchema(id string, schema, reads int) error {
	switch {
	case schema > reads:
		return &NewerError{ID: id, Schema: schema, Reads: reads}
	case schema < 1:
		return fmt.Errorf("run %s: schema %d is none", id, schema)
	}
	return nil
}

// encode writes a run.json: one key a line, what lists need first, so that a list need not read the rest.
func encode(run *record.Run, kept *Kept) ([]byte, error) {
	whole, err := json.Marshal(run)
	if err != nil {
		return nil, err
	}
	var names []string
	fields := map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(whole))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		names = append(names, name)
		fields[name] = value
	}
	delete(fields, "requests")
	if kept != nil {
		if fields["requests"], err = json.Marshal(kept); err != nil {
			return nil, err
		}
	}
	out := []byte("{")
	first := infoKeys()
	for _, name := range append(first, slices.DeleteFunc(names, func(n string) bool { return slices.Contains(first, n) })...) {
		if fields[name] == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, "\n%q:", name)
		out = append(out, fields[name]...)
	}
	return append(out, "\n}\n"...), nil
}

// decodeInfo reads what lists need of a run.json, and no further where it comes first.
func decodeInfo(r io.Reader) (*Info, error) {
	dec := json.NewDecoder(r)
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	found := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if !slices.Contains(infoKeys(), name) {
			if !slices.ContainsFunc(needed(), func(n string) bool { return found[n] == nil }) {
				break
			}
			name = ""
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if name != "" {
			found[name] = value
		}
	}
	// The version first: of a newer record nothing else need make sense.
	info := &Info{}
	if err := json.Unmarshal(cmpRaw(found["schema"]), &info.Schema); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if info.Schema > record.SchemaVersion {
		return info, nil
	}
	for _, name := range needed() {
		if found[name] == nil {
			return nil, fmt.Errorf("it has no %s", name)
		}
	}
	joined, err := json.Marshal(found)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(joined, info); err != nil {
		return nil, err
	}
	return info, nil
}

// cmpRaw is v, or a null where it is missing.
func cmpRaw(v json.RawMessage) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v
}
