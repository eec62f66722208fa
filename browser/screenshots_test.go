package browser

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
)

// mostBytes is how large a picture may be: each is in the repository anew whenever it is drawn.
const mostBytes = 250 << 10

// TestScreenshots draws the pictures of the README and docs into the folder that SCREENSHOTS names: what is probed after a
// minute, before any load; then the run that found the knee of the demo's server; and the list of runs while another is under way.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("make screenshots draws them")
	}
	browser, home := chromium(t), demo(t)
	watch, p := newTab(t, browser, home), newTab(t, browser, home)
	p.still()
	draw := func(name, path string, most float64) {
		for _, v := range []view{light, dark} {
			p.set(v)
			p.open(home + path)
			p.draw(filepath.Join(folder, name+"-"+v.scheme+".png"), float64(v.width), most)
		}
	}

	await(t, 2*time.Minute, "a minute of results", func() bool {
		watch.open(home + "/")
		return look[bool](watch, `[...document.querySelectorAll(".probe")].some((p) => p.innerText.startsWith("interactive") && /\b(2\d|[3-9]\d) of \d+ ok/.test(p.innerText))`)
	})
	draw("status", "/", 1150)
	draw("target", "/targets/demo?probe=interactive", 1600)

	// On a busy machine a run can be invalid: the prober was late. Such a page is a picture of the machine, not of the product.
	for try := 1; ; try++ {
		startRamp(t, home, "find_the_knee")
		await(t, 4*time.Minute, "the knee is found", func() bool {
			watch.open(home + "/runs")
			return look[bool](watch, fmt.Sprintf(`document.querySelectorAll('a[href*="-find_the_knee-"]').length == %d && !document.querySelector(".under-way")`, try))
		})
		draw("run", "/runs/"+look[string](watch, `document.querySelector('a[href*="-find_the_knee-"]').getAttribute("href").split("/").pop()`), 1400)
		if !look[bool](watch, `document.querySelector('a[href*="-find_the_knee-"]').closest("tr").innerText.includes("invalid")`) {
			break
		}
		if try == 3 {
			t.Error("three runs were invalid, and the pictures show one of them: the machine is too busy for pictures")
			break
		}
	}

	startRamp(t, home, "nightly_soak")
	await(t, 2*time.Minute, "the other ramp is well under way", func() bool {
		watch.open(home + "/runs")
		return look[bool](watch, `document.querySelector(".under-way progress")?.value >= 40`)
	})
	draw("runs", "/runs", 1100)
}

// draw writes the top of the page as a picture.
func (p *tab) draw(file string, width, most float64) {
	p.t.Helper()
	beyond := true
	shot := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Format:                page.CaptureScreenshotFormatPng,
		Clip:                  &page.Viewport{Width: width, Height: min(most, look[float64](p, `document.documentElement.scrollHeight`)), Scale: 1},
		CaptureBeyondViewport: &beyond,
	}).Data
	if _, err := png.DecodeConfig(bytes.NewReader(shot)); err != nil || len(shot) > mostBytes {
		p.t.Errorf("%s: %d bytes, %v; want a PNG of %d bytes at most", file, len(shot), err, mostBytes)
	}
	if err := os.WriteFile(file, shot, 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.t.Logf("%s: %d KiB", file, len(shot)>>10)
}

// startRamp starts a ramp as its page's button does.
func startRamp(t *testing.T, home, ramp string) {
	t.Helper()
	form := url.Values{"ramp": {ramp}}.Encode()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Post(home+"/runs/start", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("POST /runs/start of %s: %s; want 303", ramp, resp.Status)
	}
}
