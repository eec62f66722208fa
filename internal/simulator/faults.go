package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong with a share of the requests.
//
//	cut=N                 the body ends in order after N tokens, without a finish
//	close=N               the connection closes after N tokens, within the body
//	reset=N               the connection is reset after N tokens
//	error=N               an error event after N tokens, then [DONE]
//	rate_limited[=S]      429, with Retry-After: S seconds (1)
//	internal_error        500
//	overloaded            503
//	hang_before_headers   no answer at all
//	hang_after_headers    a 200, then nothing
//	slow_headers=D        the header comes D later than it would
//	stall=D[@N]           nothing for the duration D after N tokens (1); then the tokens made meanwhile, at once
//	endless               tokens without end, whatever the caps
//	giant_line=BYTES      the second token's event has that many bytes of text
//	invalid_utf8[=N]      the event after N tokens (1) is not UTF-8
//	malformed_json[=N]    the event after N tokens (1) breaks off
//	no_usage              the usage is missing
//	no_done               the [DONE] is missing
//	no_finish             the finish reason is missing
//	keep_alive=D          a comment every D before the first token
//	chunk=K               K tokens in each event
//	empty                 the answer ends at once, with nothing in it
//	slow=F                the engine takes F times as long for each step that the request takes part in, 1 at least
//
// Hangs and stalls end when the client goes or the server stops. One request asks for its own faults, in place of those drawn,
// by the header X-Sim-Fault: several are separated by commas.
type Fault struct {
	Spec  string  `json:"fault"` // name, or name=argument
	Share float64 `json:"share"` // of the requests, 0 to 1; each fault is drawn for itself
}

// faultHeader asks for faults of one request; it wins over what is drawn.
const faultHeader = "X-Sim-Fault"

// plan is what goes wrong with one request.
type plan struct {
	spec string // as it was asked for

	refuse     *apiError
	hangBefore bool
	hangAfter  bool

	cut       int // tokens before the end; -1: no
	how       ending
	stall     time.Duration
	stallAt   int
	endless   bool
	empty     bool
	giant     int64
	badUTF8   int // tokens before the bad event; -1: no
	badJSON   int
	noUsage   bool
	noDone    bool
	noFinish  bool
	keepAlive time.Duration
	perEvent  int

	slowHeaders time.Duration
	slow        float64
}

// ending is how a cut answer ends.
type ending int

const (
	endBody  ending = iota // the body is closed in order
	endClose               // the connection is closed within the body
	endReset               // the connection is reset
	endError               // an error event, then [DONE]
)

// fault is one entry of the table of faults: how its argument changes a plan.
type fault struct {
	apply    func(p *plan, arg string) error
	fallback string // the argument where none is given; "-": one is needed; "": there is none
}

func faultTable() map[string]fault {
	cut := func(how ending) fault {
		return fault{func(p *plan, arg string) (err error) {
			p.how = how
			p.cut, err = atLeast(arg, 0)
			return err
		}, "-"}
	}
	flag := func(set func(*plan)) fault {
		return fault{func(p *plan, _ string) error { set(p); return nil }, ""}
	}
	status := func(status int, kind, message string) fault {
		return flag(func(p *plan) { p.refuse = &apiError{status: status, kind: kind, message: message} })
	}
	return map[string]fault{
		"cut":   cut(endBody),
		"close": cut(endClose),
		"reset": cut(endReset),
		"error": cut(endError),
		"rate_limited": {func(p *plan, arg string) error {
			if _, err := atLeast(arg, 0); err != nil {
				return err
			}
			p.refuse = &apiError{status: http.StatusTooManyRequests, kind: "Too Many Requests", message: "Rate limit reached.", retry: arg}
			return nil
		}, "1"},
		"internal_error":      status(http.StatusInternalServerError, "InternalServerError", "EngineCore encountered an issue."),
		"overloaded":          status(http.StatusServiceUnavailable, "Service Unavailable", "The server is overloaded."),
		"hang_before_headers": flag(func(p *plan) { p.hangBefore = true }),
		"hang_after_headers":  flag(func(p *plan) { p.hangAfter = true }),
		"slow_headers": {func(p *plan, arg string) (err error) {
			p.slowHeaders, err = positive(arg)
			return err
		}, "-"},
		"stall": {func(p *plan, arg string) (err error) {
			d, at, found := strings.Cut(arg, "@")
			p.stallAt = 1
			if found {
				if p.stallAt, err = atLeast(at, 0); err != nil {
					return err
				}
			}
			p.stall, err = positive(d)
			return err
		}, "-"},
		"endless": flag(func(p *plan) { p.endless = true }),
		"giant_line": {func(p *plan, arg string) error {
			n, err := atLeast(arg, 1)
			p.giant = int64(n)
			return err
		}, "-"},
		"invalid_utf8": {func(p *plan, arg string) (err error) {
			p.badUTF8, err = atLeast(arg, 0)
			return err
		}, "1"},
		"malformed_json": {func(p *plan, arg string) (err error) {
			p.badJSON, err = atLeast(arg, 0)
			return err
		}, "1"},
		"no_usage":  flag(func(p *plan) { p.noUsage = true }),
		"no_done":   flag(func(p *plan) { p.noDone = true }),
		"no_finish": flag(func(p *plan) { p.noFinish = true }),
		"keep_alive": {func(p *plan, arg string) (err error) {
			p.keepAlive, err = positive(arg)
			return err
		}, "-"},
		"chunk": {func(p *plan, arg string) (err error) {
			p.perEvent, err = atLeast(arg, 1)
			return err
		}, "-"},
		"empty": flag(func(p *plan) { p.empty = true }),
		"slow": {func(p *plan, arg string) (err error) {
			p.slow, err = strconv.ParseFloat(arg, 64)
			if err != nil || !(p.slow >= 1 && p.slow <= 1e6) {
				return fmt.Errorf("%q is not a factor of at least 1", arg)
			}
			return nil
		}, "-"},
	}
}

func atLeast(arg string, least int) (int, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < least {
		return 0, fmt.Errorf("%q is not a whole number of at least %d", arg, least)
	}
	return n, nil
}

func positive(arg string) (time.Duration, error) {
	d, err := time.ParseDuration(arg)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a positive duration", arg)
	}
	return d, nil
}

// faults holds what may go wrong, and decides for each request what does.
type faults struct {
	table map[string]fault

	mu   sync.Mutex
	list []Fault
	rand *rand.Rand
}

func newFaults(list []Fault, seed uint64) (*faults, error) {
	f := &faults{table: faultTable(), rand: rand.New(rand.NewPCG(seed, 0xfa017))}
	return f, f.set(list)
}

// set replaces the list, or says what is wrong with it and changes nothing.
func (f *faults) set(list []Fault) error {
	for _, x := range list {
		if _, err := f.parse(x.Spec); err != nil {
			return err
		}
		if !(x.Share >= 0 && x.Share <= 1) {
			return fmt.Errorf("simulator: fault %q: share %v is not between 0 and 1", x.Spec, x.Share)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.Clone(list)
	return nil
}

func (f *faults) get() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Fault{}, f.list...)
}

// plan decides what goes wrong with a request whose fault header has the given value.
func (f *faults) plan(header string) (*plan, error) {
	if header != "" {
		return f.parse(header)
	}
	f.mu.Lock()
	var specs []string
	for _, x := range f.list {
		if f.rand.Float64() < x.Share {
			specs = append(specs, x.Spec)
		}
	}
	f.mu.Unlock()
	return f.parse(strings.Join(specs, ","))
}

// parse reads faults separated by commas; none at all is a plan in which nothing goes wrong.
func (f *faults) parse(spec string) (*plan, error) {
	p := &plan{spec: spec, cut: -1, badUTF8: -1, badJSON: -1, perEvent: 1}
	if spec == "" {
		return p, nil
	}
	for one := range strings.SplitSeq(spec, ",") {
		name, arg, given := strings.Cut(strings.TrimSpace(one), "=")
		x, known := f.table[name]
		switch {
		case !known:
			return nil, fmt.Errorf("simulator: unknown fault %q", name)
		case !given && x.fallback == "-":
			return nil, fmt.Errorf("simulator: fault %q needs an argument", name)
		case given && x.fallback == "":
			return nil, fmt.Errorf("simulator: fault %q takes no argument", name)
		case !given:
			arg = x.fallback
		}
		if err := x.apply(p, arg); err != nil {
			return nil, fmt.Errorf("simulator: fault %q: %w", name, err)
		}
	}
	return p, nil
}

// serveControl is GET and POST /control/faults: a JSON list of faults.
func (f *faults) serveControl(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		var list []Fault
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		dec.DisallowUnknownFields()
		err := dec.Decode(&list)
		if err == nil {
			err = f.set(list)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	writeOurs(w, http.StatusOK, f.get())
}
