package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// startTime reads when the shards of a ramp begin together, of
//
//	2026-03-01T02:00:00Z     a time
//	soak-29538840+2m         the name of a Job that a Kubernetes CronJob has made, and how long after its time
//
// All pods of a Job know its name, and a CronJob names its Jobs by the minute for which they were scheduled, counted
// from 1970: the one time that they share without asking anybody, however late each of them is started.
func startTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	job, after, delayed := strings.Cut(s, "+")
	var delay time.Duration
	if delayed {
		var err error
		if delay, err = time.ParseDuration(after); err != nil || delay < 0 {
			return time.Time{}, fmt.Errorf("%q: %q is no delay, such as 2m", s, after)
		}
	}
	dash := strings.LastIndexByte(job, '-')
	minutes, err := strconv.ParseUint(job[dash+1:], 10, 32)
	// From 2001 on: what is smaller is another number, such as a shard's.
	if dash < 1 || err != nil || minutes < 16_300_000 {
		return time.Time{}, fmt.Errorf("%q is neither a time, such as 2026-03-01T02:00:00Z, nor the name of a CronJob's Job, such as soak-29538840+2m", s)
	}
	return time.Unix(int64(minutes)*60, 0).UTC().Add(delay), nil
}
