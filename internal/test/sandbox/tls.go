package sandbox

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"createkey/internal/test/awslocal"
)

// RootsFile is the name of the file of root certificates that StartTLS writes.
const RootsFile = "roots.pem"

// StartTLS is Start over TLS on 127.0.0.1, as similar to AWS as possible: HTTP/1.1, a
// certificate with an RSA key of 2,048 bits, and its root together with all of this machine's
// in RootsFile, the function's SSL_CERT_FILE, so that reading the roots takes as long as in
// Lambda. It writes into dir.
func StartTLS(executable, dir string, aws *awslocal.Server, env ...string) (*Sandbox, error) {
	certificate, root, err := newCertificate()
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	roots := filepath.Join(dir, RootsFile)
	if err := os.WriteFile(roots, append(systemRoots(), root...), 0o600); err != nil {
		return nil, fmt.Errorf("writing the roots: %w", err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, fmt.Errorf("serving AWS: %w", err)
	}
	return serve(listener, "https", executable, aws, append(env, "SSL_CERT_FILE="+roots)...), nil
}

// systemRoots returns the root certificates of a Debian-like system, or of Amazon Linux, or
// none.
func systemRoots() []byte {
	for _, path := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"} {
		if text, err := os.ReadFile(path); err == nil {
			return append(text, '\n')
		}
	}
	return nil
}

// newCertificate returns a server certificate for 127.0.0.1, and the root that signed it.
func newCertificate() (server tls.Certificate, root []byte, err error) {
	rootKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "createkey sandbox"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, &template, &template, &rootKey.PublicKey, rootKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf := x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: template.NotBefore, NotAfter: template.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, &leaf, &template, &key.PublicKey, rootKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: rootDER}); err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{leafDER, rootDER}, PrivateKey: key}, text.Bytes(), nil
}
