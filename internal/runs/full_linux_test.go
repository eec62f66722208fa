package runs

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// answer is what the other roles print of an error, or of none.
func answer(what string, err error) {
	switch {
	case err == nil:
		fmt.Println(what, "ok")
	case errors.Is(err, syscall.ENOSPC):
		fmt.Println(what, "full")
	default:
		fmt.Println(what, err)
	}
}

// playFull is what the processes do that run out of disk.
func playFull(role, dir string) error {
	switch role {
	case "full":
		return writeOnFullDisk(dir)
	case "limit":
		return writeUnderLimit(dir)
	}
	return errors.New("no such role")
}

// writeOnFullDisk mounts a disk of 256 KiB, which only this process sees, and writes on it until it is full, and beyond.
func writeOnFullDisk(dir string) error {
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k,mode=700"); err != nil {
		fmt.Println("mount", err)
		return nil
	}
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	defer s.Close()

	// Requests that fill the disk: the record is kept without them.
	answer("filled", write(s, 20_000))
	list(s)
	// A disk with no room even for a record: there is none, and the old one stays.
	if err := fill(dir); err != nil {
		return err
	}
	answer("full", write(s, 10))
	answer("pin", s.SaveBaseline("chat", []BaselineValue{{Probe: "p", Indicator: "ttft", Quantile: 0.5, Seconds: 1}}))
	list(s)
	// Room again.
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		return err
	}
	answer("room", write(s, 10))
	answer("pin", s.SaveBaseline("chat", []BaselineValue{{Probe: "p", Indicator: "ttft", Quantile: 0.5, Seconds: 1}}))
	list(s)
	again, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	defer again.Close()
	list(again)
	return nil
}

// writeUnderLimit writes where no file may be over 4 KiB, which is a disk that is full at any place one likes.
func writeUnderLimit(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, limit := range []uint64{8 << 10, 1 << 10, 100, 0} {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: syscall.RLIM_INFINITY & (1<<63 - 1)}); err != nil {
			fmt.Println("limit", err)
			return nil
		}
		err := write(s, 5000)
		switch {
		case err == nil:
			fmt.Println(limit, "ok")
		default:
			fmt.Println(limit, "failed")
		}
		list(s)
	}
	return nil
}

// write writes a record of n requests.
func write(s *Store, n int) error {
	run := sampleRun("soak", time.Now(), record.Pass)
	w, err := s.Begin(NewID(run.Started, run.Ramp))
	if err != nil {
		return err
	}
	defer w.Discard()
	for i := range n {
		r := sampleResult(i)
		r.RemoteAddr = fmt.Sprint(time.Now().UnixNano(), NewID(run.Started, "random")) // does not compress well
		for len(w.queue) == cap(w.queue) {
			runtime.Gosched() // nothing is to be dropped but for the disk
		}
		w.Request("interactive", 0, r)
	}
	return w.Commit(run)
}

// fill writes until nothing more goes.
func fill(dir string) error {
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 4096; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return nil
}

// list prints whether all records are readable, and what they say of their requests.
func list(s *Store) {
	infos, _, err := s.List(Filter{})
	if err != nil {
		fmt.Println("list", err)
		return
	}
	unreadable, _ := s.Unreadable()
	fmt.Print(len(infos), " records, ", len(unreadable), " unreadable:")
	for _, i := range infos {
		_, err := s.Load(i.ID)
		n := 0
		for _, e := range s.Requests(i.ID) {
			if e != nil && i.Requests.Written > 0 {
				err = e
			}
			n++
		}
		switch {
		case err != nil:
			fmt.Print(" ", err)
		case i.Requests.Written > 0 && n == i.Requests.Written && i.Requests.Dropped == 0:
			fmt.Print(" whole")
		case i.Requests.Written > 0 && n == i.Requests.Written:
			fmt.Print(" some")
		case i.Requests.Written == 0 && i.Requests.Dropped > 0 && i.Requests.Error != "":
			fmt.Print(" without")
		default:
			fmt.Printf(" %+v", *i.Requests)
		}
	}
	fmt.Println()
}

func TestFullDisk(t *testing.T) {
	cmd := other(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		t.Skipf("no disk can be mounted here: %v", err)
	}
	if strings.HasPrefix(string(out), "mount") {
		t.Skipf("no disk can be mounted here: %s", out)
	}
	want := `filled ok
1 records, 0 unreadable: without
full full
pin full
1 records, 0 unreadable: without
room ok
pin ok
2 records, 0 unreadable: whole without
2 records, 0 unreadable: whole without
`
	if string(out) != want || err != nil {
		t.Errorf("on a full disk: %v\n%s\nwant\n%s", err, out, want)
	}
}

func TestFileLimit(t *testing.T) {
	dir := t.TempDir()
	out, err := other(t, "limit", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.HasPrefix(string(out), "limit") {
		t.Skipf("no limit can be set here: %s", out)
	}
	want := `8192 ok
1 records, 0 unreadable: without
1024 failed
1 records, 0 unreadable: without
100 failed
1 records, 0 unreadable: without
0 failed
1 records, 0 unreadable: without
`
	if string(out) != want {
		t.Errorf("under limits:\n%s\nwant\n%s", out, want)
	}
	for _, name := range entries(t, dir) {
		if strings.HasPrefix(name, tmpPrefix) {
			t.Errorf("%s is left over", name)
		}
	}
}
