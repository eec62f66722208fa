package house

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// unwelcome are words that speak of how the product was made or of where, not of the product.
// Brackets keep a pattern from finding itself.
func unwelcome() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"a path of one machine":        regexp.MustCompile(`/wor[k]/|/tmp/bash[_]jobs|/tmp/brie[f]`),
		"a registry's address":         regexp.MustCompile(`(?i)(proxy|sum)\.golang\.org|goproxy\.(io|cn)|registry\.npmjs\.org|files\.pythonhosted\.org|pypi\.org/simple|index\.crates\.io`),
		"talk about the work on it":    regexp.MustCompile(`(?i)\bthis sessio[n]\b|\bin (a previous|an earlier|the last|the next) sessio[n]\b|\bthe founde[r]\b|\bsub-?agent[s]?\b|\b(other|another|fellow) helper[s]?\b`),
		"a signature":                  regexp.MustCompile(`(?i)co-authored-b[y]:|as an ai (language )?mode[l]|generated (by|with) \[?(claude|chatgpt|copilot|codex)`),
		"a note that is not in here":   regexp.MustCompile(`\bfact[s]/\w+\.md|\bSTYL[E]\.md|\bbrie[f]\.md`),
		"something left to be done":    regexp.MustCompile(`(^|[^.\w])(TOD[O]|FIXM[E])\b`),
		"a merge that was left undone": regexp.MustCompile(`^(<{7}|>{7}) `),
	}
}

// hints are parts of what unwelcome finds, in lower case: a line without any of them has nothing for that pattern, and looking for
// that is quicker by far than the pattern, which matters under the race detector.
func hints() map[string][]string {
	return map[string][]string{
		"a path of one machine":        {"/wor", "/tmp/b"},
		"a registry's address":         {".golang.org", "goproxy.", "npmjs", "pythonhosted", "pypi.org", "crates.io"},
		"talk about the work on it":    {"sessio", "founde", "agent", "helper"},
		"a signature":                  {"authored-b", "as an ai", "generated"},
		"a note that is not in here":   {"fact", "styl", "brie"},
		"something left to be done":    {"tod", "fixm"},
		"a merge that was left undone": {"<<<<<<<", ">>>>>>>"},
	}
}

// textSpeaksOfTheProduct: no unwelcome words, in any file that is not somebody else's text.
func textSpeaksOfTheProduct(t *tree) (found []string) {
	words, hints := unwelcome(), hints()
	kinds := slices.Sorted(maps.Keys(words))
	for _, p := range slices.Sorted(maps.Keys(t.texts)) {
		if base := path.Base(p); base == "LICENSE" || base == "go.sum" {
			continue
		}
		n := 0
		for line := range strings.Lines(t.texts[p]) {
			n++
			lower := strings.ToLower(line)
			for _, what := range kinds {
				if !slices.ContainsFunc(hints[what], func(hint string) bool { return strings.Contains(lower, hint) }) {
					continue
				}
				if word := words[what].FindString(line); word != "" {
					found = append(found, fmt.Sprintf("%s:%d: %s: %q", p, n, what, strings.TrimSpace(word)))
				}
			}
		}
	}
	return found
}

// linksLeadSomewhere: a relative link in a document names a file or a folder of the tree.
func linksLeadSomewhere(t *tree) (found []string) {
	link := regexp.MustCompile(`\]\(([^)\s#]+)(#[^)\s]*)?\)`)
	there := map[string]bool{}
	for _, p := range t.paths {
		for ; p != "."; p = path.Dir(p) {
			there[p] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(t.texts)) {
		if path.Ext(p) != ".md" {
			continue
		}
		n, fenced := 0, false
		for line := range strings.Lines(t.texts[p]) {
			n++
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if fenced {
				continue
			}
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				to := m[1]
				if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
					continue
				}
				if !there[path.Join(path.Dir(p), to)] && path.Join(path.Dir(p), to) != "." {
					found = append(found, fmt.Sprintf("%s:%d: %s", p, n, to))
				}
			}
		}
	}
	return found
}
