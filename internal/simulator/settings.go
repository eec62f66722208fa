package simulator

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// settings are what may change about an engine while it runs. The engine's lock guards them.
type settings struct {
	maxRunning, maxQueued, maxBatchedTokens    int
	stepBase, stepPerSequence, prefillPerToken time.Duration
	firstToken, perToken                       time.Duration

	throttle  float64 // how many times as long everything takes
	leak      float64 // share by which everything takes longer after each hour
	leaksFrom instant // when that began

	load      time.Duration // how long the model takes to be loaded
	loadAfter time.Duration // after so long without a request; with load 0: never
}

// settings are those at the start.
func (o *Options) settings() settings {
	return settings{
		maxRunning: o.MaxRunning, maxQueued: o.MaxQueued, maxBatchedTokens: o.MaxBatchedTokens,
		stepBase: o.StepBase, stepPerSequence: o.StepPerSequence, prefillPerToken: o.PrefillPerToken,
		firstToken: o.FirstToken, perToken: o.PerToken, throttle: 1,
	}
}

// slowed is how long something takes at that instant that takes d when all is well.
func (c *settings) slowed(d time.Duration, at instant, slow float64) time.Duration {
	factor := slow * c.throttle
	if c.leak > 0 {
		factor *= 1 + c.leak*max(at.sub(c.leaksFrom).Hours(), 0)
	}
	if factor == 1 {
		return d
	}
	return time.Duration(float64(d) * factor)
}

// setter is one entry of the table of settings: how its argument changes them, and how that is taken back.
type setter struct {
	set  func(c *settings, at instant)
	back func(c *settings, from *settings)
}

// parseSetting reads NAME=VALUE. compress is how much faster the hours go than real ones.
func parseSetting(text string, compress float64) (setter, error) {
	name, arg, _ := strings.Cut(text, "=")
	number := func(of func(*settings) *int, least int) (setter, error) {
		n, err := atLeast(arg, least)
		return setter{
			func(c *settings, _ instant) { *of(c) = n },
			func(c *settings, from *settings) { *of(c) = *of(from) },
		}, err
	}
	duration := func(of func(*settings) *time.Duration) (setter, error) {
		d, err := time.ParseDuration(arg)
		if err == nil && d < 0 {
			err = fmt.Errorf("%q is negative", arg)
		}
		return setter{
			func(c *settings, _ instant) { *of(c) = d },
			func(c *settings, from *settings) { *of(c) = *of(from) },
		}, err
	}
	switch name {
	case "max_running":
		return number(func(c *settings) *int { return &c.maxRunning }, 1)
	case "max_queued":
		return number(func(c *settings) *int { return &c.maxQueued }, 0)
	case "max_batched_tokens":
		return number(func(c *settings) *int { return &c.maxBatchedTokens }, 0)
	case "step_base":
		return duration(func(c *settings) *time.Duration { return &c.stepBase })
	case "step_per_sequence":
		return duration(func(c *settings) *time.Duration { return &c.stepPerSequence })
	case "prefill_per_token":
		return duration(func(c *settings) *time.Duration { return &c.prefillPerToken })
	case "first_token":
		return duration(func(c *settings) *time.Duration { return &c.firstToken })
	case "per_token":
		return duration(func(c *settings) *time.Duration { return &c.perToken })
	case "throttle":
		f, err := strconv.ParseFloat(arg, 64)
		if err != nil || !(f > 0 && f <= 1e6) {
			return setter{}, fmt.Errorf("%q is not a factor above 0", arg)
		}
		return setter{
			func(c *settings, _ instant) { c.throttle = f },
			func(c *settings, from *settings) { c.throttle = from.throttle },
		}, nil
	case "leak":
		percent, err := strconv.ParseFloat(strings.TrimSuffix(arg, "%"), 64)
		if err != nil || !(percent >= 0 && percent <= 1e6) {
			return setter{}, fmt.Errorf("%q is not a number of percent an hour", arg)
		}
		return setter{
			func(c *settings, at instant) { c.leak, c.leaksFrom = percent/100*compress, at },
			func(c *settings, from *settings) { c.leak, c.leaksFrom = from.leak, from.leaksFrom },
		}, nil
	case "cold_start":
		load, idle, found := strings.Cut(arg, "/")
		d, err := positive(load)
		var after time.Duration
		if err == nil && found {
			after, err = positive(idle)
		}
		if !found {
			after = math.MaxInt64
		} else {
			after = time.Duration(float64(after) / compress)
		}
		return setter{
			func(c *settings, _ instant) { c.load, c.loadAfter = d, after },
			func(c *settings, from *settings) { c.load, c.loadAfter = from.load, from.loadAfter },
		}, err
	}
	return setter{}, fmt.Errorf("unknown setting %q", name)
}
