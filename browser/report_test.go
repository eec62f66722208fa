package browser

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport runs a ramp in the foreground and opens its report from the disk.
func TestReport(t *testing.T) {
	axe, browser := axeSource(t), chromium(t)
	dir := t.TempDir()
	address := start(t, ` url=(\S+)/v1`, "simulate", "--listen-address=127.0.0.1:0")
	text, err := os.ReadFile("testdata/report.yml")
	if err != nil {
		t.Fatal(err)
	}
	file, report := filepath.Join(dir, "llm_prober.yml"), filepath.Join(dir, "run.html")
	config := strings.NewReplacer("${url}", address+"/v1", "${metrics}", address+"/metrics").Replace(string(text))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ramp := exec.Command(binary(t), "ramp", "ten_seconds", "--config.file="+file, "--storage.path="+filepath.Join(dir, "runs"), "--report="+report)
	output, err := ramp.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() < 3) { // from 3 on they are verdicts
		t.Fatalf("%v: %v\n%s", ramp.Args, err, output)
	}

	p := newTab(t, browser, "file://"+report)
	for _, v := range []view{light, dark, phone} {
		p.set(v)
		p.open("file://" + report)
		type drawn struct {
			Title          string
			Charts, Lines  int
			Empty, Figures int
		}
		got := look[drawn](p, `({
			Title: document.querySelector("h1").innerText,
			Charts: document.querySelectorAll("figure.chart svg.plot").length,
			Empty: [...document.querySelectorAll("figure.chart svg.plot")].filter((s) => s.getBoundingClientRect().height < 20 || !s.querySelector("path, rect, line")).length,
			Lines: `+lines+`,
			Figures: document.querySelectorAll("table.figures tbody td").length,
		})`)
		if !strings.Contains(got.Title, "ten_seconds") || got.Charts < 4 || got.Lines < got.Charts || got.Empty > 0 || got.Figures == 0 {
			t.Errorf("%s: the report has %+v; want ten_seconds, four charts or more, each drawn, and tables", v, got)
		}
		p.shows("table.figures tbody td")
		if v == phone {
			p.fits()
		}
		p.judge(axe, v.String())
	}

	// Its script is in the file, and the policy in the file lets it run.
	p.set(light)
	p.open("file://" + report)
	p.hover(".plot[data-hover]")
	if tip := until[string](p, `document.querySelector(".tip")?.innerText`); tip == "" {
		t.Error("there are no values under the pointer")
	}
}
