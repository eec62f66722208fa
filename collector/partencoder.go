package collector

import (
	"bytes"
	"io"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// partEncoder writes families that come in parts, as expfmt writes whole ones: TestHandlerIsAsPromhttp.
type partEncoder interface {
	// encode writes a part, which goes on with the family before or begins one.
	encode(part *dto.MetricFamily, goesOn bool) error
	close() error
}

func newPartEncoder(to io.Writer, format expfmt.Format) partEncoder {
	if format.FormatType() == expfmt.TypeProtoDelim {
		return &protobufParts{to: to}
	}
	body := &bodyWriter{to: to}
	return &textParts{body, expfmt.NewEncoder(body, format)}
}

// protobufParts writes each family after its length. What is sent of a message in parts, one after the other, is the message.
// Names are not escaped, for all of this program's are such as need none.
type protobufParts struct {
	to     io.Writer
	family []byte
	length [10]byte
}

func (p *protobufParts) encode(part *dto.MetricFamily, goesOn bool) (err error) {
	if goesOn {
		part = &dto.MetricFamily{Metric: part.Metric}
	} else if err := p.close(); err != nil {
		return err
	}
	p.family, err = proto.MarshalOptions{}.MarshalAppend(p.family, part)
	return err
}

// close writes the family that has been collected.
func (p *protobufParts) close() error {
	if len(p.family) == 0 {
		return nil
	}
	_, err := p.to.Write(protowire.AppendVarint(p.length[:0], uint64(len(p.family))))
	if err == nil {
		_, err = p.to.Write(p.family)
	}
	p.family = p.family[:0]
	return err
}

// textParts writes parts as families of their own, but for the lines that a family begins with.
type textParts struct {
	body *bodyWriter
	expfmt.Encoder
}

func (t *textParts) encode(part *dto.MetricFamily, goesOn bool) error {
	t.body.skipping, t.body.lineBegins = goesOn, true
	return t.Encode(part)
}

func (t *textParts) close() error {
	t.body.skipping = false
	if end, ok := t.Encoder.(expfmt.Closer); ok {
		return end.Close()
	}
	return nil
}

// bodyWriter leaves out the lines at the beginning that begin with #, where it is skipping. A line may come in several pieces.
type bodyWriter struct {
	to                   io.Writer
	skipping, lineBegins bool
}

// Write implements io.Writer.
func (w *bodyWriter) Write(b []byte) (int, error) {
	n := len(b)
	for w.skipping && len(b) > 0 {
		if w.lineBegins && b[0] != '#' {
			w.skipping = false
			break
		}
		_, b, w.lineBegins = bytes.Cut(b, []byte("\n"))
	}
	if len(b) > 0 {
		if m, err := w.to.Write(b); err != nil {
			return n - len(b) + m, err
		}
	}
	return n, nil
}
