package runs

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// other is this test binary in another role.
func other(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, roleEnv+"_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// writeForever writes records, and pins one now and then, until it is killed. It says when each is there.
func writeForever(dir string) error {
	s, err := Open(dir, Options{MaxRuns: 20})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	begun := time.Now()
	for i := 0; ; i++ {
		run := sampleRun("soak", time.Now(), record.Pass)
		w, err := s.Begin(NewID(run.Started, run.Ramp))
		if err != nil {
			return err
		}
		for n := range 50 {
			w.Request("interactive", 0, sampleResult(n))
		}
		if err := w.Commit(run); err != nil {
			return err
		}
		fmt.Println("committed", w.ID())
		if i%3 == 0 {
			if err := s.Pin("newest", w.ID()); err != nil {
				return err
			}
			fmt.Println("pinned", w.ID())
		}
		if i == 1 {
			fmt.Println("two", time.Since(begun))
		}
	}
}

// Killed at 50 random moments: every record that is there is readable, what was said to be there is, and the next
// process finds nothing that is left over.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 50 processes")
	}
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var committed, pinned []string
	amid := 0
	var window time.Duration // in which to kill: as long as the first process says that it took for two records, but a quarter of a second at most
	for n := range 51 {
		cmd := other(t, "writer", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var kill *time.Timer
		for lines.Scan() {
			what, id, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "ready":
				after := time.Hour // the first one is killed by what it writes
				if n > 0 {
					after = time.Duration(random.Int64N(int64(window)))
				}
				kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			case "committed":
				committed = append(committed, id)
			case "pinned":
				pinned = append(pinned, id)
			case "two":
				if n > 0 {
					continue // it lives for longer than that
				}
				took, err := time.ParseDuration(id)
				if err != nil {
					t.Fatal(err)
				}
				window = min(took, 250*time.Millisecond)
				_ = cmd.Process.Kill()
			default:
				t.Errorf("the writer says %q", lines.Text())
			}
		}
		_ = cmd.Wait()
		if kill == nil {
			t.Fatal("the writer never was ready")
		}
		kill.Stop()
		if slices.ContainsFunc(entries(t, dir), func(name string) bool { return strings.HasPrefix(name, ".") && name != lockFile }) {
			amid++
		}

		s, log := open(t, dir, Options{})
		for _, name := range entries(t, dir) {
			if name != lockFile && name != baselinesFile && !ValidID(name) {
				t.Errorf("%s is left over", name)
			}
		}
		if strings.Contains(log.String(), "cannot") {
			t.Errorf("the next start says\n%s", log)
		}
		infos, _, err := s.List(Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			if _, err := s.Load(info.ID); err != nil {
				t.Errorf("Load = %v", err)
			}
			lines := 0
			for _, err := range s.Requests(info.ID) {
				if err != nil {
					t.Errorf("Requests = %v", err)
				}
				lines++
			}
			if lines != 50 || info.Requests.Dropped != 0 {
				t.Errorf("run %s has %d requests of 50; %+v", info.ID, lines, info.Requests)
			}
		}
		if n := len(committed); n > 0 {
			if _, err := s.Load(committed[n-1]); err != nil {
				t.Errorf("what was committed is not there: %v", err)
			}
		}
		pins, err := s.Pins()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(pinned); n > 0 && pins["newest"].Run < pinned[n-1][:16] {
			t.Errorf("pinned is %v; want %s or later", pins, pinned[n-1])
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d records were committed, %d of 51 kills left something half done", len(committed), amid)
	if len(committed) == 0 || amid == 0 {
		t.Error("the kills came at no moment that matters")
	}
}

// What a process writes is not taken for a leftover while it lives.
func TestAlive(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	w, err := s.Begin(NewID(begin, "soak"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	w.Request("interactive", 0, sampleResult(0))
	must(t, dir) // cleans
	if err := w.Commit(sampleRun("soak", begin, record.Pass)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(w.ID()); err != nil {
		t.Error(err)
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".tmp-20261122T020000Z-soak-1f3a9c02", ".del-20261122T020000Z-soak-1f3a9c02", ".tmp-20261122T020000Z-soak-1f3a9c03"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".tmp-20261122T020000Z-soak-1f3a9c03/lock", ".baselines.tmp", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(t, dir)
	if got := strings.Join(entries(t, dir), " "); got != ".lock notes.txt" {
		t.Errorf("left are %s", got)
	}
}
