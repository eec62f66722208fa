package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long one step in the browser may take. The slowest is the judgement of a long page on a busy machine.
const patience = 45 * time.Second

// skip skips a test for what is missing, except in CI, where nothing may be.
func skip(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// chromium starts a browser that ends with the test.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		skip(t, "there is no Chromium: apt-get install chromium, or name one in CHROMIUM")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 1000), chromedp.WSURLReadTimeout(patience))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(release)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// tab is a page in the browser, and the witness of what must not happen in it.
type tab struct {
	t    *testing.T
	ctx  context.Context
	home string // what addresses of requests begin with

	mu       sync.Mutex // protects all following fields
	problems []string
	requests map[network.ResourceType]int
}

// newTab opens a page that may ask home alone. What the tab saw by the end of the test fails it.
func newTab(t *testing.T, browser context.Context, home string) *tab {
	t.Helper()
	p := openTab(t, browser, home)
	t.Cleanup(func() {
		for _, problem := range p.saw() {
			t.Error(problem)
		}
	})
	return p
}

// openTab opens a page that ends with the test, whatever it saw.
func openTab(t *testing.T, browser context.Context, home string) *tab {
	t.Helper()
	p := &tab{t: t, home: home, requests: map[network.ResourceType]int{}}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(p.see), chromedp.WithNewBrowserContext())
	p.ctx = ctx
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // opened without a deadline: the tab would end with it
		t.Fatal(err)
	}
	call(p, audits.Enable, cdp.Empty{})
	return p
}

// see notes requests, and what must not happen. The browser's messages wait for it.
func (p *tab) see(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	complain := func(format string, args ...any) { p.problems = append(p.problems, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests[e.Type]++
		if !strings.HasPrefix(e.Request.URL, p.home) {
			complain("a request went to %.200s; want none beyond %s", e.Request.URL, p.home)
		}
	case *runtime.EventExceptionThrown:
		complain("exception: %v", &chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails})
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, arg := range e.Args {
				words = append(words, arg.Description+string(arg.Value))
			}
			complain("console.%s: %s", e.Type, strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			complain("console: %s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if policy := e.Issue.Details.ContentSecurityPolicyIssueDetails; policy != nil {
			complain("Content-Security-Policy: %s violated by %q", policy.ViolatedDirective, policy.BlockedURL)
		}
	}
}

// saw is what must not happen and did.
func (p *tab) saw() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.problems)
}

// asked is how many requests of a kind there were so far.
func (p *tab) asked(kind network.ResourceType) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[kind]
}

// run takes one step in a tab.
func run[T any](p *tab, what string, step chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, step)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return got
}

// call sends a command to a tab.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	return run(p, command.Method, func(ctx context.Context, t *chromedp.Target) (R, error) {
		return cdp.Call(ctx, t, command, params)
	})
}

// look evaluates an expression in the page.
func look[T any](p *tab, expression string) T {
	p.t.Helper()
	return run(p, brief(expression), chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for the page to make an expression true, and returns its value. It is told of each change of the page.
func until[T any](p *tab, expression string) T {
	p.t.Helper()
	return look[T](p, `new Promise((done) => {
		const look = () => {
			const value = (`+expression+`);
			if (value) { observer.disconnect(); done(value); }
		};
		const observer = new MutationObserver(look);
		observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
		look();
	})`)
}

// open loads a page, which has to answer 200.
func (p *tab) open(address string) {
	p.t.Helper()
	r := run(p, "open "+address, chromedp.NavigateResponse(address))
	if strings.HasPrefix(address, "http") && (r == nil || r.Status != 200) {
		p.t.Fatalf("GET %s: %+v; want HTTP 200", address, r)
	}
}

// follow clicks on what leads to another page, which has to answer 200, and returns the path it arrived at. Live pages swap
// their elements, so that the mouse goes by place, and the page is told of a press before, lest the place changes on the way.
func (p *tab) follow(selector string) string {
	p.t.Helper()
	look[bool](p, `dispatchEvent(new PointerEvent("pointerdown"))`)
	x, y := p.place(selector)
	r := run(p, "follow "+selector, func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, chromedp.MouseClickXY(x, y))
	})
	if r == nil || r.Status != 200 {
		p.t.Fatalf("follow %s: %+v; want HTTP 200", selector, r)
	}
	at, err := url.Parse(r.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return at.Path
}

// hover puts the pointer on the first element of a selector.
func (p *tab) hover(selector string) {
	p.t.Helper()
	x, y := p.place(selector)
	run(p, "hover over "+selector, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

// place is the middle of the first element of a selector, scrolled into view.
func (p *tab) place(selector string) (x, y float64) {
	p.t.Helper()
	at := look[[]float64](p, fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		if (!element) return [];
		element.scrollIntoView({block: "center", behavior: "instant"});
		const box = element.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, selector))
	if len(at) != 2 {
		p.t.Fatalf("the page has no %s", selector)
	}
	return at[0], at[1]
}

// view is how a page is looked at.
type view struct {
	scheme        string // light or dark
	width, height int64
}

func (v view) String() string { return fmt.Sprintf("%s, %d px", v.scheme, v.width) }

// set puts the tab into a view.
func (p *tab) set(v view) {
	p.t.Helper()
	run(p, "set the width", chromedp.EmulateViewport(v.width, v.height))
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}},
	})
}

// still keeps live pages as they were loaded, for what must not change while it is looked at.
func (p *tab) still() {
	p.t.Helper()
	call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.EventSource = class { addEventListener() {} close() {} };`,
	})
}

// quote writes a value as a script does.
func quote(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers alone are quoted
	}
	return string(text)
}

// brief is the beginning of a script.
func brief(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 160 {
		s = s[:160] + " ..."
	}
	return s
}
