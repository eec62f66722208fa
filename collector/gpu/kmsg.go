package gpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
)

// kernelReport is what one record of the kernel log says about a GPU.
type kernelReport struct {
	PCI  string // as normalPCI writes it
	Code string // XID number, or fallenOffBus; "" where the record only names the GPU
	UUID string // the driver prints "GPU at PCI:…: GPU-…" ahead of a GPU's first XID; else ""
}

// fallenOffBus stands for the XID where the kernel log says in words, without a number, that a GPU is gone.
const fallenOffBus = "fallen_off_bus"

// parseKernelRecord reads one record of /dev/kmsg:
//
//	4,1234,5678901,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.
//	│                                │             │
//	facility and level               address       code
//
// ok is false for everything that is not from the NVIDIA kernel driver and about one GPU. Records that a user's
// program wrote (facility not 0) do not count: anyone with the right to write to the file could make up errors.
func parseKernelRecord(record []byte) (r kernelReport, ok bool) {
	prefix, text, found := bytes.Cut(record, []byte(";"))
	if !found {
		return r, false
	}
	priority, _, _ := bytes.Cut(prefix, []byte(","))
	level, ok := decimal(priority, 4)
	if !ok || level > 7 {
		return r, false
	}
	text, _, _ = bytes.Cut(text, []byte("\n")) // key=value lines follow
	if _, line, found := bytes.Cut(text, []byte("NVRM: ")); found {
		return parseDriverLine(string(line))
	}
	return r, false
}

// parseDriverLine reads what follows "NVRM: ".
func parseDriverLine(line string) (r kernelReport, ok bool) {
	if rest, ok := strings.CutPrefix(line, "Xid ("); ok {
		// (PCI:0000:3b:00), (0000:3b:00) of old drivers, (PCI:0000:3b:00 GPU-I:01) of MIG instances.
		where, rest, ok := strings.Cut(rest, ")")
		if !ok {
			return r, false
		}
		address, _, _ := strings.Cut(strings.TrimPrefix(where, "PCI:"), " ")
		r.PCI = normalPCI(address)
		rest, ok = strings.CutPrefix(rest, ":")
		if !ok || r.PCI == "" {
			return kernelReport{}, false
		}
		rest = strings.TrimLeft(rest, " ")
		end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
		if end < 0 {
			end = len(rest)
		}
		code, ok := decimal([]byte(rest[:end]), 9)
		if !ok {
			return kernelReport{}, false
		}
		r.Code = xidCode(uint64(code))
		return r, true
	}
	if rest, ok := strings.CutPrefix(line, "GPU at PCI:"); ok {
		address, uuid, ok := strings.Cut(rest, ": ")
		uuid = strings.TrimSpace(uuid)
		r.PCI = normalPCI(address)
		if !ok || r.PCI == "" || !wellFormedUUID(uuid) {
			return kernelReport{}, false
		}
		r.UUID = uuid
		return r, true
	}
	if rest, ok := strings.CutPrefix(line, "The NVIDIA GPU "); ok {
		// The message has several lines, which the log escapes: "…b3:00.0\x0aNVRM: … has fallen off the bus and …".
		end := strings.IndexFunc(rest, func(c rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF:.", c) })
		if end < 0 {
			return r, false
		}
		r.PCI = normalPCI(rest[:end])
		if r.PCI == "" || !strings.Contains(rest, "fallen off the bus") {
			return kernelReport{}, false
		}
		r.Code = fallenOffBus
		return r, true
	}
	return r, false
}

// xidCode is an XID as a label value. Codes have three digits at most; what has more is no XID that anybody could
// look up, and must not make series without end.
func xidCode(code uint64) string {
	if code > 999 {
		return "other"
	}
	return fmt.Sprint(code)
}

// decimal reads 1 to most digits, and nothing else.
func decimal(b []byte, most int) (n int, ok bool) {
	if len(b) == 0 || len(b) > most {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// wellFormedUUID accepts "GPU-" and 36 hexadecimal digits and hyphens.
func wellFormedUUID(s string) bool {
	digits, ok := strings.CutPrefix(s, "GPU-")
	return ok && len(digits) == 36 && strings.Trim(strings.ToLower(digits), "0123456789abcdef-") == ""
}

// kernelLog is an open /dev/kmsg: every Read returns one record and waits for it.
type kernelLog interface{ io.ReadCloser }

// followKernelLog hands what the log says from now on to sink, until ctx ends (then it returns nil) or the log cannot
// be read.
func followKernelLog(ctx context.Context, open func() (kernelLog, error), ready func(), sink func(kernelReport)) error {
	log, err := open()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = log.Close() }) // ends a Read that waits
	defer func() {
		if stop() {
			_ = log.Close()
		}
	}()
	ready()
	record := make([]byte, 16<<10) // the kernel's records have at most 8 KiB
	for {
		n, err := log.Read(record)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.EPIPE): // records were overwritten before they were read; the next one is there
			continue
		case err != nil:
			return fmt.Errorf("read kernel log: %w", err)
		case n == 0:
			return fmt.Errorf("read kernel log: %w", io.ErrUnexpectedEOF)
		}
		if r, ok := parseKernelRecord(record[:n]); ok {
			sink(r)
		}
	}
}

// kernelLogRetry is the time between attempts to open a kernel log that cannot be read.
const kernelLogRetry = time.Minute
