//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// configuration is mounted where CMD expects it. It names a time zone, which the image has to have.
const configuration = `probes:
  interactive: {prompt_tokens: 20, max_output_tokens: 8, interval: 1s}
targets:
  - {name: chat, url: "http://127.0.0.1:8000/v1", model: sim, probes: [interactive]}
ramps:
  - name: nightly
    schedule: "0 2 * * *"
    timezone: Europe/Berlin
    target: chat
    lanes: [{name: main, mix: {interactive: 1}, stages: [{to: 2/s, over: 10s}]}]
    objectives: [{indicator: ttft, threshold: 800ms}]
`

// within is how long anything may take here; the machine may be busy.
const within = 60 * time.Second

// testImage runs the image as a container runtime with a read-only root would, with a network that nothing leads out of.
func testImage(file string) (err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	i := new(image)
	if err := json.Unmarshal(text, i); err != nil {
		return err
	}
	if err := i.mount(); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}

	if out, err := i.command(i.Healthcheck...).CombinedOutput(); err == nil {
		return fmt.Errorf("HEALTHCHECK says healthy before anything runs: %s", out)
	}
	server := i.command(append(slices.Clone(i.Entrypoint), "simulate", "--listen-address=127.0.0.1:8000")...)
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Wait()
	defer server.Process.Kill()

	start := time.Now()
	prober := i.command(append(slices.Clone(i.Entrypoint), i.Cmd...)...)
	var log bytes.Buffer
	prober.Stdout, prober.Stderr = &log, &log
	if err := prober.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- prober.Wait() }()
	defer prober.Process.Kill()
	// until asks again and again until it is so, the prober ends, or time is up.
	until := func(what string, so func() error) error {
		for {
			last := so()
			if last == nil {
				return nil
			}
			select {
			case err := <-ended:
				return fmt.Errorf("%s: the prober ended: %w\n%s", what, err, log.String())
			case <-time.After(50 * time.Millisecond):
			}
			if time.Since(start) > within {
				return fmt.Errorf("%s: not within %v: %w", what, within, last)
			}
		}
	}
	err = until("HEALTHCHECK", func() error { return i.command(i.Healthcheck...).Run() })
	if err != nil {
		return err
	}
	fmt.Printf("image  healthy by its own HEALTHCHECK after %v\n", time.Since(start).Round(10*time.Millisecond))

	var page string
	err = until("/metrics", func() error {
		response, err := http.Get("http://127.0.0.1:9779/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		page = string(text)
		if !regexp.MustCompile(`(?m)^llm_probe_requests_total\{[^}]*outcome="ok"[^}]*\} [1-9]`).MatchString(page) {
			return errors.Join(err, errors.New("no request was answered"))
		}
		return err
	})
	if err != nil {
		return err
	}
	want := fmt.Sprintf("revision=%q", i.Labels["org.opencontainers.image.revision"])
	version := fmt.Sprintf("version=%q", i.Labels["org.opencontainers.image.version"])
	build := regexp.MustCompile(`(?m)^llm_prober_build_info\{.*`).FindString(page)
	if !strings.Contains(build, want) || !strings.Contains(build, version) {
		return fmt.Errorf("the binary says %s; the image's labels say %s, %s", build, version, want)
	}
	fmt.Printf("image  probes are answered; %s, %s\n", version, want)

	if err := i.rights(prober.Process.Pid); err != nil {
		return err
	}
	if err := prober.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("SIGTERM: %w\n%s", err, log.String())
		}
	case <-time.After(within):
		return fmt.Errorf("SIGTERM: still there after %v", within)
	}
	if i.command(i.Healthcheck...).Run() == nil {
		return errors.New("HEALTHCHECK says healthy after the end")
	}
	fmt.Println("image  ended by SIGTERM with exit code 0; HEALTHCHECK says so")
	return nil
}

// mount makes the files read-only, all but the volumes, and adds what every container has.
func (i *image) mount() error {
	var uid, gid int
	if _, err := fmt.Sscanf(i.User, "%d:%d", &uid, &gid); err != nil {
		return fmt.Errorf("USER %s: want numbers, which need no look-up: %w", i.User, err)
	}
	for _, dir := range []string{"/proc", "/dev"} {
		if err := os.MkdirAll(i.Root+dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(i.Root+"/dev/null", nil, 0o666); err != nil {
		return err
	}
	settings := filepath.Join(i.Root, "etc/llm_prober/llm_prober.yml")
	if err := os.WriteFile(settings, []byte(configuration), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(i.Root, i.Root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("", i.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID, ""); err != nil {
		return err
	}
	if err := unix.Mount("/dev/null", i.Root+"/dev/null", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", i.Root+"/proc", "proc", 0, ""); err != nil {
		return err
	}
	for _, volume := range i.Volumes {
		info, err := os.Stat(filepath.Join(i.Root, volume))
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t) // as a new volume takes it over
		options := fmt.Sprintf("mode=%o,uid=%d,gid=%d", info.Mode().Perm(), owner.Uid, owner.Gid)
		if err := unix.Mount("tmpfs", filepath.Join(i.Root, volume), "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, options); err != nil {
			return err
		}
	}
	return nil
}

// command is a program of the image, run as the image says.
func (i *image) command(args ...string) *exec.Cmd {
	var uid, gid uint32
	fmt.Sscanf(i.User, "%d:%d", &uid, &gid) // mount has checked it
	return &exec.Cmd{
		Path: args[0], Args: args, Dir: i.Dir, Env: slices.Concat([]string{"PATH=/usr/bin"}, i.Env),
		SysProcAttr: &syscall.SysProcAttr{Chroot: i.Root, Credential: &syscall.Credential{Uid: uid, Gid: gid}, Pdeathsig: syscall.SIGKILL},
	}
}

// rights tells whether a process is the user that the image names, without any capability.
func (i *image) rights(pid int) error {
	// /proc of this namespace of processes.
	text, err := os.ReadFile(fmt.Sprintf("%s/proc/%d/status", i.Root, pid))
	if err != nil {
		return err
	}
	uid, _, _ := strings.Cut(i.User, ":")
	for _, line := range []string{`Uid:(\s` + uid + `){4}`, `CapEff:\s0{16}`, `CapPrm:\s0{16}`, `NoNewPrivs:\s1`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).Match(text) {
			return fmt.Errorf("/proc/%d/status has no line %s", pid, line)
		}
	}
	fmt.Printf("image  runs as %s, without capabilities, on read-only files\n", i.User)
	return nil
}

// loopback brings up the one interface of a new network namespace.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
