package gpu

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The pipe between the prober and its worker carries frames:
//
//	 0        4         5      6          8             12
//	┌────────┬─────────┬──────┬──────────┬─────────────┬──────────────┐
//	│ "LPGW" │ version │ kind │ reserved │ length (BE) │ JSON payload │
//	└────────┴─────────┴──────┴──────────┴─────────────┴──────────────┘
//
// Both ends are the same binary, but the file may have been replaced between the start of one and of the other: hence
// the version. The magic finds out at once when a library has written to the worker's standard output.
const (
	frameMagic   = "LPGW"
	frameVersion = 1
	frameHeader  = 12
	frameLimit   = 16 << 20 // bytes of payload; a snapshot of 8 GPUs has about 20 KB
)

var (
	errFrameMagic   = errors.New("not a frame: something else wrote to the pipe")
	errFrameVersion = errors.New("the other end is of another version of llm_prober (the file was replaced while it ran): restart llm_prober")
	errFrameLength  = errors.New("frame is too long")
)

// message is the payload of a frame.
type message interface{ frameKind() byte }

// configMessage is the only message to the worker, and its first.
type configMessage struct {
	Interval  int64  `json:"interval"` // ns between samplings
	Library   string `json:"library,omitempty"`
	Processes bool   `json:"processes,omitempty"`
	Skip      []int  `json:"skip,omitempty"` // indices of GPUs whose calls have hung: not to be touched
}

// progressMessage is sent every heartbeat, whatever the driver does.
type progressMessage struct {
	Open     bool      `json:"open"`                // the driver is loaded and the GPUs were found
	InFlight *InFlight `json:"in_flight,omitempty"` // the oldest call under way
}

// snapshotMessage follows each sampling.
type snapshotMessage struct{ *Snapshot }

// xidMessage is sent as soon as the driver has reported something.
type xidMessage struct {
	XIDs []XID `json:"xids"`
}

// goneMessage is the worker's last word: it ends by itself.
type goneMessage struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (configMessage) frameKind() byte   { return 1 }
func (progressMessage) frameKind() byte { return 2 }
func (snapshotMessage) frameKind() byte { return 3 }
func (xidMessage) frameKind() byte      { return 4 }
func (goneMessage) frameKind() byte     { return 5 }

// writeMessage writes one frame with a single call of Write.
func writeMessage(w io.Writer, m message) error {
	payload, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode frame %d: %w", m.frameKind(), err)
	}
	if len(payload) > frameLimit {
		return fmt.Errorf("encode frame %d: %d bytes: %w", m.frameKind(), len(payload), errFrameLength)
	}
	b := make([]byte, frameHeader, frameHeader+len(payload))
	copy(b, frameMagic)
	b[4], b[5] = frameVersion, m.frameKind()
	binary.BigEndian.PutUint32(b[8:], uint32(len(payload)))
	_, err = w.Write(append(b, payload...))
	return err
}

// readMessage reads one frame. It returns io.EOF only at the end of a whole frame. Messages of unknown kinds are
// skipped.
func readMessage(r io.Reader) (message, error) {
	for {
		var header [frameHeader]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, fmt.Errorf("read frame header: %w", err)
			}
			return nil, err
		}
		if string(header[:4]) != frameMagic {
			return nil, fmt.Errorf("read frame header %q: %w", header[:], errFrameMagic)
		}
		if header[4] != frameVersion {
			return nil, fmt.Errorf("read frame of version %d, want %d: %w", header[4], frameVersion, errFrameVersion)
		}
		length := binary.BigEndian.Uint32(header[8:])
		if length > frameLimit {
			return nil, fmt.Errorf("read frame of %d bytes: %w", length, errFrameLength)
		}
		payload := make([]byte, length)
		if n, err := io.ReadFull(r, payload); err != nil {
			return nil, fmt.Errorf("read frame, %d of %d bytes: %w", n, length, io.ErrUnexpectedEOF)
		}
		m, err := parseMessage(header[5], payload)
		if err != nil {
			return nil, fmt.Errorf("read frame %d: %w", header[5], err)
		}
		if m != nil {
			return m, nil
		}
	}
}

// parseMessage returns nil for a kind it does not know.
func parseMessage(kind byte, payload []byte) (message, error) {
	switch kind {
	case configMessage{}.frameKind():
		return parseInto[configMessage](payload)
	case progressMessage{}.frameKind():
		return parseInto[progressMessage](payload)
	case snapshotMessage{}.frameKind():
		s := new(Snapshot)
		if err := json.Unmarshal(payload, s); err != nil {
			return nil, err
		}
		return snapshotMessage{s}, nil
	case xidMessage{}.frameKind():
		return parseInto[xidMessage](payload)
	case goneMessage{}.frameKind():
		return parseInto[goneMessage](payload)
	}
	return nil, nil
}

func parseInto[M message](payload []byte) (message, error) {
	var m M
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	return m, nil
}
