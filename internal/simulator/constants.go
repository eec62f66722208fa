package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// constant is an option that Set takes.
type constant struct {
	name string
	to   any
}

func (o *Options) constants() []constant {
	return []constant{
		{"step_base", &o.StepBase}, {"step_per_sequence", &o.StepPerSequence}, {"prefill_per_token", &o.PrefillPerToken},
		{"max_running", &o.MaxRunning}, {"max_queued", &o.MaxQueued}, {"max_batched_tokens", &o.MaxBatchedTokens},
		{"max_model_len", &o.MaxModelLen}, {"kv_tokens", &o.KVTokens}, {"block_tokens", &o.BlockTokens},
		{"preempt", &o.Preempt}, {"prefix_cache", &o.PrefixCache}, {"priority", &o.Priority},
	}
}

// Constants lists the names that Set takes.
func Constants() []string {
	var names []string
	for _, c := range new(Options).constants() {
		names = append(names, c.name)
	}
	return names
}

// Set sets one of the engine's constants, given as NAME=VALUE: a duration, a number, or true or false. New says whether it
// is in range.
func (o *Options) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	all := o.constants()
	i := slices.IndexFunc(all, func(c constant) bool { return c.name == name })
	if i < 0 {
		return fmt.Errorf("unknown constant %q: choose of %s", name, strings.Join(Constants(), ", "))
	}
	var err error
	switch to := all[i].to.(type) {
	case *time.Duration:
		*to, err = time.ParseDuration(value)
	case *int:
		*to, err = strconv.Atoi(value)
	case *bool:
		*to, err = strconv.ParseBool(value)
	}
	return err
}
