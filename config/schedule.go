package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a file that names a time zone loads wherever the binary runs

	"github.com/prometheus/common/model"
	"github.com/robfig/cron/v3"
)

// Schedule is when a ramp runs, as cron writes it: five fields, or a word such as @daily. Empty: by hand alone.
// In a loaded configuration it can be read.
type Schedule string

// parseSchedule reads a schedule. The parser is robfig/cron's, which takes a few things that are no schedules here: a time zone
// before the fields (on which it panics without fields), and @every, which has no nominal times and rounds what is under a second.
func parseSchedule(text string) (schedule cron.Schedule, err error) {
	switch {
	case strings.Contains(text, "TZ="):
		return nil, errors.New("the time zone is a key of its own: timezone")
	case strings.HasPrefix(text, "@every"):
		return nil, errors.New("@every has no times of its own, so that a restart would move them; write the fields, such as */30 * * * * for every half hour")
	case strings.HasPrefix(text, "@"):
		words := []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
		if slices.Contains(words, text) {
			return cron.ParseStandard(text)
		}
		return nil, fmt.Errorf("unknown word %q%s", text, didYouMean(text, words))
	case len(strings.Fields(text)) != 5:
		return nil, fmt.Errorf("a schedule has five fields (minute, hour, day of the month, month, day of the week), as in 0 2 * * *; this has %d", len(strings.Fields(text)))
	}
	defer func() {
		if p := recover(); p != nil {
			schedule, err = nil, errors.New("not a schedule; write five fields such as 0 2 * * *")
		}
	}()
	if schedule, err = cron.ParseStandard(text); err == nil {
		return schedule, nil
	}
	why, _, _ := strings.Cut(err.Error(), ": strconv.")
	if strings.Contains(why, "(7) above maximum (6)") {
		why += "; Sunday is 0, or sun"
	}
	return nil, errors.New("not a schedule: " + why)
}

// location is a time zone by its name; without one UTC.
func location(name string) (*time.Location, error) {
	switch name {
	case "", "UTC":
		return time.UTC, nil
	case "Local":
		return nil, errors.New("the time zone Local differs from machine to machine; name it, such as Europe/Berlin")
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %q; write one such as UTC or Europe/Berlin", name)
	}
	return l, nil
}

// Next returns the first time of the ramp's schedule after a time, in the ramp's time zone and without jitter or blackouts; the zero time
// where there is none, or none within five years. A time of the clock that does not exist on the day the clocks go forward is passed
// over. One that comes twice on the day they go back is kept once, the first time: after the first 01:30 the next is not the second.
func (r *Ramp) Next(after time.Time) time.Time {
	return r.clock().next(after)
}

// clock is a schedule that was read, in its time zone.
type clock struct {
	schedule cron.Schedule
	zone     *time.Location
}

// clock reads the ramp's schedule; of one that has none, or that breaks the rules, it is empty.
func (r *Ramp) clock() clock {
	if r.Schedule == "" {
		return clock{}
	}
	schedule, err := parseSchedule(string(r.Schedule))
	if err != nil {
		return clock{}
	}
	zone, err := location(r.Timezone)
	if err != nil {
		return clock{}
	}
	return clock{schedule, zone}
}

func (c clock) next(after time.Time) time.Time {
	if c.schedule == nil {
		return time.Time{}
	}
	for next := after.In(c.zone); ; {
		if next = c.schedule.Next(next); next.IsZero() || !repeats(next) {
			return next
		}
	}
}

// repeats reports whether the same time of the clock has been before, up to three hours ago: the clocks went back in between.
func repeats(t time.Time) bool {
	_, now := t.Zone()
	_, before := t.Add(-3 * time.Hour).Zone()
	if before <= now {
		return false
	}
	first := t.Add(-time.Duration(before-now) * time.Second)
	_, then := first.Zone()
	return then == before
}

// InBlackout reports whether no run of the ramp begins at a time.
func (r *Ramp) InBlackout(t time.Time) bool { return r.dark()(t) }

// dark returns InBlackout with the time zones looked up.
func (r *Ramp) dark() func(time.Time) bool {
	zones := make([]*time.Location, len(r.Blackouts))
	for i, b := range r.Blackouts {
		zones[i], _ = location(cmp.Or(b.Timezone, r.Timezone)) // nil where it breaks the rules
	}
	return func(t time.Time) bool {
		for i, b := range r.Blackouts {
			if zones[i] != nil && b.covers(t.In(zones[i])) {
				return true
			}
		}
		return false
	}
}

// weekdays are written so, beginning with time.Sunday.
func weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// covers reports whether a time of the blackout's zone lies in it.
func (b *Blackout) covers(local time.Time) bool {
	clock := TimeOfDay(time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second)
	on := func(day time.Weekday) bool {
		return len(b.Days) == 0 || slices.Contains(b.Days, weekdays()[(day+7)%7])
	}
	today, yesterday := local.Weekday(), local.Weekday()-1
	if b.From < b.To {
		return on(today) && clock >= b.From && clock < b.To
	}
	return on(today) && clock >= b.From || on(yesterday) && clock < b.To
}

// referenceYear is when the schedules of a configuration are looked at: whether it is good does not depend on the day. It is a leap year.
func referenceYear() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second) }

// maxFirings bounds how many times are looked at: the minutes of a month, for blackouts repeat every week.
const maxFirings = 50_000

// firings calls f with the times of the ramp's schedule within a leap year, until it returns false.
func (r *Ramp) firings(f func(time.Time) bool) {
	c, end := r.clock(), referenceYear().AddDate(1, 0, 0)
	t := c.next(referenceYear())
	for n := 0; n < maxFirings && !t.IsZero() && t.Before(end) && f(t); n++ {
		t = c.next(t)
	}
}

// shortestGap is the shortest time between two runs of the ramp's schedule, of the first few hundred; 0 where there is none.
func (r *Ramp) shortestGap() time.Duration {
	var last time.Time
	var shortest time.Duration
	n := 0
	r.firings(func(t time.Time) bool {
		if gap := t.Sub(last); !last.IsZero() && (shortest == 0 || gap < shortest) {
			shortest = gap
		}
		last = t
		n++
		return n < 400
	})
	return shortest
}

// times checks when a ramp runs.
func (v *validator) times(r *Ramp, at *node) {
	before := len(v.faults)
	zone := func(n *node) {
		if n != nil {
			_, err := location(n.text)
			v.must(err == nil, n, "%v", err)
			v.must(n.text != "", n, "the time zone is empty; leave it out")
		}
	}
	zone(at.get("timezone"))
	list := at.get("blackouts")
	sound := !at.has("timezone") || at.get("timezone") != nil
	for i, b := range r.Blackouts {
		n := list.item(i)
		if n == nil || n.hasBad() || n.get("from") == nil || n.get("to") == nil || n.get("days").hasBad() {
			sound = false
		}
		zone(n.get("timezone"))
		if n.get("from") != nil && n.get("to") != nil {
			v.must(b.From != b.To, n.get("to"), "to is the same as from; all day is from 00:00 to 24:00")
			v.must(b.From < TimeOfDay(24*time.Hour), n.get("from"), "no day begins at 24:00; write 00:00")
		}
		days := n.get("days")
		for i, day := range b.Days {
			v.must(slices.Contains(weekdays(), day), days.item(i), "unknown day %q%s", day, didYouMean(day, weekdays()))
		}
		if days != nil {
			v.must(len(days.children) > 0, days, "the list of days is empty; leave it out for every day")
			v.distinct(days, "%s is listed twice")
		}
	}
	schedule := at.get("schedule")
	if !at.has("schedule") {
		for _, key := range []string{"jitter", "blackouts"} {
			if n := at.get(key); n != nil {
				v.must(false, n.key, "%s needs a schedule, which the ramp has not", key)
			}
		}
	}
	if schedule == nil || !sound || len(v.faults) > before || at.has("blackouts") && list == nil {
		return
	}
	comes, allowed, dark := false, false, r.dark()
	r.firings(func(t time.Time) bool {
		comes, allowed = true, !dark(t)
		return !allowed
	})
	v.must(comes, schedule, "this time never comes")
	v.must(!comes || allowed, schedule, "the ramp would never run: all its times lie in its blackouts")
	if gap := r.shortestGap(); gap > 0 {
		v.must(time.Duration(r.Jitter) < gap, at.get("jitter"), "jitter %s is not shorter than the time between two runs, which is %s", r.Jitter, model.Duration(gap))
	}
}
