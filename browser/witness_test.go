package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWitness opens pages that do what the tests of the real ones would not forgive, and sees that it would not go unseen.
func TestWitness(t *testing.T) {
	axe, browser := axeSource(t), chromium(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /policy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprint(w, `<!doctype html><title>a</title><script>document.title = "b"</script>`)
	})
	mux.HandleFunc("GET /image", func(w http.ResponseWriter, _ *http.Request) { // the rest of 127.0.0.0/8 is this machine too
		fmt.Fprint(w, `<!doctype html><title>a</title><img alt="" src="http://127.0.0.2:9/x.png">`)
	})
	for path, script := range map[string]string{"error": `console.error("it is broken")`, "exception": `null.length`} {
		mux.HandleFunc("GET /"+path, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `<!doctype html><title>a</title><script>%s</script>`, script)
		})
	}
	mux.HandleFunc("GET /missing", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><title>a</title><link rel="stylesheet" href="nowhere.css">`)
	})
	mux.HandleFunc("GET /pale", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>a</title><main><h1>A</h1><p style="color: #bbb">pale</p><input></main>`)
	})
	mux.HandleFunc("GET /favicon.ico", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	for _, test := range []struct{ path, want string }{
		{"policy", "Content-Security-Policy: script-src-elem violated"},
		{"image", "a request went to http://127.0.0.2:9/x.png"},
		{"error", "console.error: "},
		{"exception", "exception: "},
		{"missing", "nowhere.css"},
	} {
		t.Run(test.path, func(t *testing.T) {
			p := openTab(t, browser, server.URL)
			p.open(server.URL + "/" + test.path)
			await(t, patience, "the tab sees it", func() bool { return strings.Contains(strings.Join(p.saw(), "\n"), test.want) })
		})
	}
	t.Run("pale", func(t *testing.T) {
		if axe == "" {
			t.Skip("there is no axe-core")
		}
		p := openTab(t, browser, server.URL)
		p.open(server.URL + "/pale")
		var ids []string
		for _, v := range p.violations(axe) {
			ids = append(ids, v.ID)
		}
		if got := strings.Join(ids, " "); got != "color-contrast label" {
			t.Errorf("axe-core finds %q; want color-contrast label", got)
		}
	})
}
