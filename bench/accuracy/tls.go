package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"
)

// How bytes travel.
const (
	overTCP   = "http"  // plain HTTP/1.1
	overTLS   = "https" // HTTP/1.1 under TLS
	overHTTP2 = "http2" // HTTP/2 under TLS, which Go's own client carries: by the user's clock
)

// serverTLS is a configuration with a certificate made for this run, which nobody should trust.
func serverTLS(over string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"http/1.1"},
	}
	if over == overHTTP2 {
		conf.NextProtos = []string{"h2"}
	}
	return conf, nil
}
