package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// assets are the style sheet, the script and the icon. Their address carries a hash of them, so a browser may keep them for good.
type assets struct {
	files http.Handler
	hash  string
}

func newAssets() (*assets, error) {
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	err = fs.WalkDir(static, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(static, path)
		sum.Write(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &assets{files: http.FileServerFS(static), hash: hex.EncodeToString(sum.Sum(nil))[:12]}, nil
}

// ServeHTTP serves a file below static. Folders are not listed.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "" || r.URL.Path[len(r.URL.Path)-1] == '/' {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("v") == a.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	a.files.ServeHTTP(w, r)
}

// parseTemplates reads all templates. html/template escapes what is put into them by the place where it stands.
func parseTemplates() (*template.Template, error) {
	return template.ParseFS(templateFiles, "templates/*.html")
}
