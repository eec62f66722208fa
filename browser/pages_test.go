package browser

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// The ways in which pages are looked at.
var (
	light = view{"light", 1280, 1000}
	dark  = view{"dark", 1280, 1000}
	phone = view{"light", 390, 844}
)

// TestPages goes through the demo as its reader does. The runs that the first steps leave are what the last ones look at.
func TestPages(t *testing.T) {
	axe := axeSource(t)
	browser, home := chromium(t), demo(t)

	t.Run("live", func(t *testing.T) { testLive(t, browser, home) })
	var runs [2]string
	t.Run("ramp", func(t *testing.T) { runs[0] = testRamp(t, browser, home) })
	t.Run("ramp without scripts", func(t *testing.T) { runs[1] = testRampWithoutScripts(t, browser, home) })
	if t.Failed() {
		t.Fatal("the pages of runs need two runs")
	}

	// Each page of the demo, and what it shows of itself where scripts run and where they do not.
	pages := []struct{ path, shows string }{
		{"/", ".probe"},
		{"/targets/demo", ".chart table tbody td"},
		{"/targets/sleeper", ".probe"},
		{"/runs", "table.listed tbody td"},
		{"/runs/start?ramp=find_the_knee", "form.confirm button"},
		{"/runs/" + runs[0], "table.figures tbody td"},
		{"/runs/" + runs[0] + "/requests", ".request"},
		{"/runs/compare?" + url.Values{"a": {runs[0]}, "b": {runs[1]}}.Encode(), "table.figures tbody td"},
		{"/schedule", "table.plain tbody td"},
		{"/config", "pre#text"},
		{"/metrics-guide", ".metric pre"},
	}
	name := strings.NewReplacer(runs[0], "ID", runs[1], "ID")
	for _, page := range pages {
		t.Run(name.Replace(page.path), func(t *testing.T) {
			p := newTab(t, browser, home)
			p.still()
			for _, v := range []view{light, dark, phone} {
				p.set(v)
				p.open(home + page.path)
				p.shows(page.shows)
				look[bool](p, `document.querySelectorAll("details").forEach((d) => { d.open = true; }) === undefined`)
				if v == phone {
					p.fits()
				}
				p.words(v)
				p.judge(axe, v.String())
			}
		})
		t.Run(name.Replace(page.path)+" without scripts", func(t *testing.T) {
			p := newTab(t, browser, home)
			call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			p.open(home + page.path)
			p.shows(page.shows)
			if n := p.asked(network.ResourceTypeScript) + p.asked(network.ResourceTypeEventSource); n > 0 {
				t.Errorf("%d requests of scripts although none may run", n)
			}
		})
	}
}

// shows fails the test unless a selector has a visible element with words.
func (p *tab) shows(selector string) {
	p.t.Helper()
	type shown struct{ All, Words int }
	got := look[shown](p, `(() => {
		document.querySelectorAll("details").forEach((d) => { d.open = true; });
		const all = [...document.querySelectorAll("`+selector+`")];
		return {All: all.length, Words: all.filter((e) => e.checkVisibility() && e.innerText.trim() !== "").length};
	})()`)
	if got.Words == 0 {
		p.t.Errorf("%d elements are %s, none of them with words to be seen", got.All, selector)
	}
}

// fits fails the test where the page is wider than the window, so that all of it would scroll sideways.
func (p *tab) fits() {
	p.t.Helper()
	wide := look[[]string](p, `(() => {
		const room = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= room && document.body.scrollWidth <= room) return [];
		const inScroller = (e) => e && e !== document.body && (getComputedStyle(e).overflowX !== "visible" || inScroller(e.parentElement));
		return ["the page is " + document.documentElement.scrollWidth + " px wide", ...[...document.body.querySelectorAll("*")]
			.filter((e) => e.getBoundingClientRect().right > room + 1 && !inScroller(e.parentElement))
			.map((e) => e.outerHTML.slice(0, 120)).slice(0, 5)];
	})()`)
	if len(wide) > 0 {
		p.t.Errorf("%d px: %s", phone.width, strings.Join(wide, "\n\t"))
	}
}

// testLive sees the status page change while it is looked at, by an event and not by being loaded again.
func testLive(t *testing.T, browser context.Context, home string) {
	p := newTab(t, browser, home)
	p.open(home + "/")
	first := look[string](p, `(window.sameDocument = true, document.querySelector("main").innerText)`)
	until[bool](p, `document.querySelector("main").innerText !== `+quote(first))
	until[bool](p, `/probes? .*answering/.test(document.querySelector("main h1").innerText) && document.title.startsWith(document.querySelector("main h1").innerText)`)
	if !look[bool](p, `window.sameDocument === true`) {
		t.Error("the page was loaded again")
	}
	if documents, events, fetches := p.asked(network.ResourceTypeDocument), p.asked(network.ResourceTypeEventSource), p.asked(network.ResourceTypeFetch); documents != 1 || events != 1 || fetches != 0 {
		t.Errorf("%d documents, %d event streams and %d fetches; want one document, one stream and nothing asked again", documents, events, fetches)
	}

	// What is pressed stays until it is let go, or clicks would be lost: the page does not change meanwhile, and does afterwards.
	x, y := p.place("footer")
	run(p, "press", chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, x, y, chromedp.Button("left"), chromedp.ClickCount(1)))
	changes := func(events int) string {
		return `new Promise((done) => {
			const observer = new MutationObserver(() => { observer.disconnect(); done(true); });
			observer.observe(document.querySelector("main"), {childList: true});
			const events = new EventSource(document.querySelector("main").dataset.live);
			let came = 0;
			events.addEventListener("fragment", () => { if (++came == ` + quote(events) + `) { events.close(); observer.disconnect(); done(false); } });
		})`
	}
	if look[bool](p, changes(3)) {
		t.Error("the page changed between a press and its release")
	}
	run(p, "let go", chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x, y, chromedp.Button("left"), chromedp.ClickCount(1)))
	if !look[bool](p, changes(10)) { // of another stream, whose drawings may come before the page's own
		t.Error("after ten events that came when the mouse was let go, the page is as it was")
	}

	// The crosshair: values under the pointer, and none when it is gone.
	p.open(home + "/targets/demo")
	until[bool](p, `document.querySelector(".plot[data-hover]") !== null`)
	p.hover(".plot[data-hover]")
	if tip := until[string](p, `document.querySelector(".tip")?.innerText`); !regexp.MustCompile(`\d`).MatchString(tip) {
		t.Errorf("the tip says %q; want a value", tip)
	}
}

// testRamp starts a ramp from its page, looks at it until it has done something, stops it, and returns the id of its record.
func testRamp(t *testing.T, browser context.Context, home string) string {
	p := newTab(t, browser, home)
	p.open(home + "/runs")
	p.follow(`a[href$="start?ramp=nightly_soak"]`)
	if at := p.follow("#go"); at != "/runs" {
		t.Fatalf("the start button leads to %s; want /runs", at)
	}
	look[bool](p, `window.sameDocument = true`)
	// Seen to be under way, and then to go on, without the page being loaded again.
	until[bool](p, `document.querySelector(".under-way h3")?.innerText.includes("nightly_soak")`)
	until[bool](p, `document.querySelector(".verdict.running") !== null`)
	until[bool](p, `document.querySelector(".under-way progress")?.value >= 15`)
	facts := look[string](p, `document.querySelector(".live-lane .run-facts").innerText`)
	if !regexp.MustCompile(`[1-9]`).MatchString(facts) {
		t.Errorf("after ten seconds the lane says %q; want what was measured", facts)
	}
	if !look[bool](p, `window.sameDocument === true`) {
		t.Error("the page was loaded again")
	}
	if at := p.follow(".under-way button.stop"); at != "/runs" {
		t.Fatalf("the stop button leads to %s; want /runs", at)
	}
	until[bool](p, `!document.querySelector(".under-way") &&
		[...document.querySelectorAll("table.listed tbody tr")].some((r) => r.innerText.includes("cut short") && r.querySelector('a[href*="-nightly_soak-"]'))`)
	at := p.follow(`table.listed a[href*="-nightly_soak-"]`)
	p.recordPage()
	return at[strings.LastIndex(at, "/")+1:]
}

// recordPage looks at the page of a run that was cut short.
func (p *tab) recordPage() {
	p.t.Helper()
	type seen struct {
		Title, Verdict string
		Lines          int
	}
	got := look[seen](p, `({
		Title: document.querySelector("h1").innerText, Verdict: document.querySelector(".run-head .verdict").innerText,
		Lines: `+lines+`,
	})`)
	if !strings.Contains(got.Title, "nightly_soak") || !strings.Contains(got.Verdict, "cut short") || got.Lines == 0 {
		p.t.Errorf("the page of the run shows %+v; want nightly_soak, cut short, and lines in its charts", got)
	}
}

// lines counts the curves in the charts of a page that have a length.
const lines = `[...document.querySelectorAll("svg.plot path.line, svg.plot path.dots")].filter((p) => p.getTotalLength() > 0).length`

// testRampWithoutScripts starts and stops a ramp with forms and links alone, and returns the id of its record.
func testRampWithoutScripts(t *testing.T, browser context.Context, home string) string {
	p := newTab(t, browser, home)
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.open(home + "/runs")
	before := look[int](p, `document.querySelectorAll('a[href*="-nightly_soak-"]').length`)
	p.follow(`a[href$="start?ramp=nightly_soak"]`)
	p.follow("#go")
	await(t, patience, "the ramp is under way", func() bool {
		p.open(home + "/runs")
		return look[bool](p, `document.querySelector(".under-way progress")?.value >= 5`)
	})
	p.follow(".under-way button.stop")
	await(t, patience, "the ramp is on record", func() bool {
		p.open(home + "/runs")
		return look[bool](p, `!document.querySelector(".under-way") && document.querySelectorAll('a[href*="-nightly_soak-"]').length > `+quote(before))
	})
	at := p.follow(`table.listed a[href*="-nightly_soak-"]`)
	return at[strings.LastIndex(at, "/")+1:]
}

// axeSource is the script of axe-core; empty where nobody fetched it.
func axeSource(t *testing.T) string {
	t.Helper()
	path := os.Getenv("AXE")
	if path == "" {
		path = "../bin/browser/node_modules/axe-core/axe.min.js"
	}
	source, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no axe-core: %v", err)
		}
		t.Log("there is no axe-core, contrast and labels are not judged: make browser fetches it with npm, or name its axe.min.js in AXE")
	}
	return string(source)
}
