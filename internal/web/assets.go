package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// assets are the style sheets, the scripts and the icon. Their address carries a hash of them, so a browser may keep them for
// good.
type assets struct {
	files map[string][]byte
	hash  string
}

func newAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{"chart.css": []byte(chart.CSS()), "chart.js": []byte(chart.Script())}}
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(static, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		a.files[path], err = fs.ReadFile(static, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		sum.Write(a.files[name])
	}
	a.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	return a, nil
}

// ServeHTTP serves a file. There are no folders.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, ok := a.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("v") == a.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, r.URL.Path, time.Time{}, bytes.NewReader(data))
}

// parseTemplates reads all templates. html/template escapes what is put into them by the place where it stands.
func parseTemplates() (*template.Template, error) {
	functions := template.FuncMap{"brief": func(s string) string { return shorten(s, 120) }}
	return template.New("").Funcs(functions).ParseFS(templateFiles, "templates/*.html")
}
