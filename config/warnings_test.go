package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is warned of in a file that keeps all the rules.
func TestWarnings(t *testing.T) {
	for _, path := range filesOf(t, "testdata/warn/*.yml") {
		name := strings.TrimSuffix(path, ".yml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			c, err := parseFile(t, path)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			list := c.Warnings()
			if len(list) == 0 {
				t.Fatal("no warning")
			}
			checkPlaces(t, list, filepath.Base(path), data)
			golden(t, name+".warn", list.Error()+"\n")
		})
	}
}

// The files that are shown to everybody warn of nothing.
func TestExampleWarnsOfNothing(t *testing.T) {
	for _, path := range []string{"llm_prober.example.yml", "../deploy/compose/llm_prober.yml"} {
		c, err := parseFile(t, path)
		if err != nil {
			t.Fatal(err)
		}
		if list := c.Warnings(); len(list) > 0 {
			t.Error(list)
		}
	}
}
