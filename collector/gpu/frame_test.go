package gpu

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func messages() []message {
	return []message{
		configMessage{Interval: int64(time.Second), Library: "/lib/x.so", Processes: true, Skip: []int{1, 3}},
		progressMessage{Open: true, InFlight: &InFlight{Call: "nvmlInit", GPU: -1, For: time.Minute}},
		snapshotMessage{&Snapshot{Driver: Driver{Version: "580"}, Devices: []Device{{Identity: Identity{Index: 1, UUID: "u"}, Power: new(12.5)}}, Duration: 3}},
		snapshotMessage{new(Snapshot)},
		xidMessage{[]XID{{UUID: "u", Code: "79", Time: time.Unix(5, 0).UTC()}}},
		goneMessage{Code: "driver_not_loaded", Detail: "x"},
	}
}

func TestFramesRoundTrip(t *testing.T) {
	var b bytes.Buffer
	for _, m := range messages() {
		if err := writeMessage(&b, m); err != nil {
			t.Fatalf("writeMessage(%T) = %v", m, err)
		}
	}
	r := iotest.OneByteReader(&b)
	for _, want := range messages() {
		got, err := readMessage(r)
		if err != nil {
			t.Fatalf("readMessage() = %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", want, diff)
		}
	}
	if _, err := readMessage(r); err != io.EOF {
		t.Errorf("readMessage at the end = %v; want io.EOF itself", err)
	}
}

func TestReadMessageErrors(t *testing.T) {
	var good bytes.Buffer
	if err := writeMessage(&good, goneMessage{Code: "c"}); err != nil {
		t.Fatal(err)
	}
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(good.Bytes())
		copy(b[at:], to)
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"text":             {[]byte("NVRM: hello, world"), errFrameMagic},
		"version":          {change(4, 2), errFrameVersion},
		"length":           {change(8, 0xff), errFrameLength},
		"cut in header":    {good.Bytes()[:5], io.ErrUnexpectedEOF},
		"cut in payload":   {good.Bytes()[:good.Len()-1], io.ErrUnexpectedEOF},
		"cut after header": {good.Bytes()[:frameHeader], io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readMessage(bytes.NewReader(c.in)); !errors.Is(err, c.want) {
				t.Errorf("readMessage() = %v; want %v", err, c.want)
			}
		})
	}
	if _, err := readMessage(bytes.NewReader(change(frameHeader, '['))); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("readMessage of broken JSON = %v; want an error of its own", err)
	}
}

func TestUnknownKindIsSkipped(t *testing.T) {
	var b bytes.Buffer
	if err := writeMessage(&b, goneMessage{Code: "future"}); err != nil {
		t.Fatal(err)
	}
	b.Bytes()[5] = 99
	if err := writeMessage(&b, goneMessage{Code: "c"}); err != nil {
		t.Fatal(err)
	}
	m, err := readMessage(&b)
	if diff := cmp.Diff(message(goneMessage{Code: "c"}), m); err != nil || diff != "" {
		t.Errorf("readMessage() = %v (-want +got):\n%s", err, diff)
	}
}

func TestWriteMessageRefusesTooMuch(t *testing.T) {
	var b bytes.Buffer
	if err := writeMessage(&b, goneMessage{Detail: strings.Repeat("x", frameLimit)}); !errors.Is(err, errFrameLength) || b.Len() > 0 {
		t.Errorf("writeMessage() = %v after %d bytes; want errFrameLength, none", err, b.Len())
	}
}

// TestPlausibleSnapshotsCanBeSent has any numbers a driver may give: JSON knows no NaN.
func TestPlausibleSnapshotsCanBeSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Ptr(rapid.Float64(), true)
		pairs := rapid.MapOf(rapid.StringMatching("[a-z]{1,5}"), rapid.Float64())
		count := rapid.Ptr(rapid.Uint64(), true)
		d := Device{
			Utilization: number.Draw(t, "utilization"), Temperature: number.Draw(t, "temperature"), Margin: number.Draw(t, "margin"),
			Power: number.Draw(t, "power"), Energy: number.Draw(t, "energy"),
			Thresholds: pairs.Draw(t, "thresholds"), Clocks: pairs.Draw(t, "clocks"), ClocksMax: pairs.Draw(t, "max"), ClockEventSeconds: pairs.Draw(t, "seconds"),
			Activity: Activity{SM: number.Draw(t, "sm"), DRAM: number.Draw(t, "dram")},
			Memory:   &Memory{Total: rapid.Uint64().Draw(t, "total"), Used: rapid.Uint64().Draw(t, "used"), Free: rapid.Uint64().Draw(t, "free"), Reserved: count.Draw(t, "reserved")},
			PCIe:     PCIe{Transmitted: count.Draw(t, "tx")},
			MIG:      []MIGInstance{{Activity: Activity{Tensor: number.Draw(t, "tensor")}}},
		}
		s := &Snapshot{Devices: []Device{d}}
		s.plausible()
		got := s.Devices[0]
		for name, v := range map[string]*float64{"utilization": got.Utilization, "sm": got.Activity.SM, "tensor": got.MIG[0].Activity.Tensor} {
			if v != nil && !(*v >= 0 && *v <= 1) {
				t.Errorf("%s = %v; want 0 to 1", name, *v)
			}
		}
		if m := got.Memory; m != nil && (m.Used > m.Total || m.Free > m.Total) {
			t.Errorf("memory %+v; want parts within the total", *m)
		}
		var b bytes.Buffer
		if err := writeMessage(&b, snapshotMessage{s}); err != nil {
			t.Fatalf("writeMessage() = %v", err)
		}
		back, err := readMessage(&b)
		if err != nil {
			t.Fatalf("readMessage() = %v", err)
		}
		again := back.(snapshotMessage).Snapshot
		again.plausible() // changes nothing the second time
		var c bytes.Buffer
		if err := writeMessage(&c, snapshotMessage{again}); err != nil {
			t.Fatal(err)
		}
		if err := writeMessage(&b, snapshotMessage{s}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), c.Bytes()) {
			t.Errorf("changed on the way:\n%s\n%s", b.Bytes(), c.Bytes())
		}
	})
}

func FuzzReadMessage(f *testing.F) {
	for _, m := range messages() {
		var b bytes.Buffer
		if err := writeMessage(&b, m); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte("LPGW"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			m, err := readMessage(r)
			if err != nil {
				return
			}
			if s, ok := m.(snapshotMessage); ok {
				s.plausible()
			}
			if err := writeMessage(io.Discard, m); err != nil {
				t.Errorf("writeMessage of what was read = %v", err)
			}
		}
	})
}
