package transport

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	commoncfg "github.com/prometheus/common/config"
)

// certificates are a CA, in a file, and a server's and a client's certificate by it.
type certificates struct {
	caFile                string
	clientCert, clientKey string // files
	server                tls.Certificate
	pool                  *x509.CertPool
}

func newCertificates(t testing.TB) *certificates {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return key
	}
	caKey := newKey()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	ca, err = x509.ParseCertificate(caDER)
	must(err)
	leaf := func(serial int64, use x509.ExtKeyUsage) (certPEM, keyPEM []byte) {
		key := newKey()
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"server.test"}, ExtKeyUsage: []x509.ExtKeyUsage{use},
		}, ca, key.Public(), caKey)
		must(err)
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		must(err)
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		must(os.WriteFile(path, data, 0o600))
		return path
	}
	c := &certificates{pool: x509.NewCertPool()}
	c.pool.AddCert(ca)
	c.caFile = write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
	cert, key := leaf(2, x509.ExtKeyUsageServerAuth)
	c.server, err = tls.X509KeyPair(cert, key)
	must(err)
	cert, key = leaf(3, x509.ExtKeyUsageClientAuth)
	c.clientCert, c.clientKey = write("client.pem", cert), write("client.key", key)
	return c
}

// listener speaks TLS over l.
func (c *certificates) listener(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{c.server}, NextProtos: []string{"http/1.1"}})
}

func TestTLS(t *testing.T) {
	certs, others := newCertificates(t), newCertificates(t)
	clientCAs := func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{
			Certificates: []tls.Certificate{certs.server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.pool,
			MaxVersion: tls.VersionTLS12, // a missing certificate fails the handshake, and not the first read after it
		})
	}
	plain := func(l net.Listener) net.Listener { return l }
	tests := []struct {
		name   string
		listen func(net.Listener) net.Listener
		config commoncfg.TLSConfig
		fails  bool
	}{
		{name: "CA file", listen: certs.listener, config: commoncfg.TLSConfig{CAFile: certs.caFile}},
		{name: "not verified", listen: certs.listener, config: commoncfg.TLSConfig{InsecureSkipVerify: true}},
		{name: "server name", listen: certs.listener, config: commoncfg.TLSConfig{CAFile: certs.caFile, ServerName: "server.test"}},
		{name: "client certificate", listen: clientCAs, config: commoncfg.TLSConfig{CAFile: certs.caFile, CertFile: certs.clientCert, KeyFile: certs.clientKey}},

		{name: "unknown CA", listen: certs.listener, fails: true},
		{name: "other CA", listen: certs.listener, config: commoncfg.TLSConfig{CAFile: others.caFile}, fails: true},
		{name: "wrong server name", listen: certs.listener, config: commoncfg.TLSConfig{CAFile: certs.caFile, ServerName: "other.test"}, fails: true},
		{name: "no client certificate", listen: clientCAs, config: commoncfg.TLSConfig{CAFile: certs.caFile}, fails: true},
		{name: "no TLS", listen: plain, config: commoncfg.TLSConfig{CAFile: certs.caFile}, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := serveOn(t, tt.listen(l), answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
			c := newClient(t, Options{HTTP: commoncfg.HTTPClientConfig{TLSConfig: tt.config}})
			x, err := c.Do(t.Context(), post(t, "https"+strings.TrimPrefix(s.url(), "http"), "{}"), Deadlines{Connect: time.Minute})
			defer func() { x.Close() }() // never nil, whatever the error
			ph := x.Phases
			if tt.fails {
				if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepTLS || e.Timeout || ph.TLSStart.IsZero() || !ph.TLSDone.IsZero() {
					t.Errorf("Do() = %v, phases %+v; want an error in step tls", err, ph)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if body, _, err := readAll(x, 100); body != "hello" || err != nil {
				t.Errorf("body = %q, %v; want hello", body, err)
			}
			if ph.TLSStart.Before(ph.ConnectDone) || !ph.TLSDone.After(ph.TLSStart) || ph.WriteStart.Before(ph.TLSDone) {
				t.Errorf("phases out of order: %+v", ph)
			}
		})
	}
}

// A handshake that hangs is cut by the deadline for connecting.
func TestTLSTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Options{Dial: pipe(t, func(c net.Conn) { io.Copy(io.Discard, c) })})
		begin := time.Now()
		x, err := c.Do(t.Context(), post(t, "https://server/v1", "{}"), Deadlines{Connect: 3 * time.Second, Response: begin.Add(time.Minute)})
		if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepTLS || !e.Timeout || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Do() = %v; want a timeout in step tls", err)
		}
		if x.Phases.ConnectDone.IsZero() || x.Phases.TLSStart.IsZero() || time.Since(begin) != 3*time.Second {
			t.Errorf("phases = %+v after %v; want a connection and a handshake begun, and the end after 3s", x.Phases, time.Since(begin))
		}
	})
}

// Certificates are read again when their files change, and connections made with the old ones are not used again.
func TestTLSReload(t *testing.T) {
	certs, others := newCertificates(t), newCertificates(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, certs.listener(l), func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	url := "https" + strings.TrimPrefix(s.url(), "http")
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	use := func(from *certificates) {
		data, err := os.ReadFile(from.caFile)
		if err == nil {
			err = os.WriteFile(caFile, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	use(certs)
	c := newClient(t, Options{Reuse: true, HTTP: commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{CAFile: caFile}}})
	do := func() (*Exchange, error) {
		x, err := c.Do(t.Context(), post(t, url, "{}"), Deadlines{})
		x.Close()
		return x, err
	}
	for i := range 2 {
		if x, err := do(); err != nil || x.Phases.Reused != (i == 1) {
			t.Fatalf("Do() = %v, reused %t; want reused %t", err, x.Phases.Reused, i == 1)
		}
	}
	use(others)
	if _, err := do(); err == nil {
		t.Error("Do() with another CA = nil; want an error in step tls")
	}
	use(certs)
	if x, err := do(); err != nil || x.Phases.Reused {
		t.Errorf("Do() with the first CA again = %v, reused %t; want a new connection", err, x.Phases.Reused)
	}
	if err := os.Remove(caFile); err != nil {
		t.Fatal(err)
	}
	if _, err := do(); !errors.Is(err, ErrRequest) {
		t.Errorf("Do() without the CA file = %v; want ErrRequest", err)
	}
}
