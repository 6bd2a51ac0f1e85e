// Package sandbox runs the real executable in a local Lambda against a local AWS: packages
// lambdalocal and awslocal, connected over real sockets. It is for tests and the local
// runner.
//
// It guarantees that the function sees Lambda's environment and reaches that local AWS,
// whatever the developer's own settings are, and that its log can be read. The guarantees of
// awslocal and lambdalocal hold as well.
//
//	executable, err := sandbox.Build(t.TempDir())
//	s, err := sandbox.Start("127.0.0.1", executable, &awslocal.Server{})
//	defer s.Close()
//	response, err := s.Function.Invoke(ctx, payload)
//	logged, other := s.TakeLines() // and s.AWS.Keys(), s.AWS.Secrets(), s.AWS.Events()
package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/lambdalocal"
)

// Sandbox is a function and the AWS that it calls. Use [Start] or [StartTLS].
type Sandbox struct {
	AWS      *awslocal.Server
	Function *lambdalocal.Function
	// Endpoint is the URL of AWS.
	Endpoint string

	server *http.Server
	output lines
}

// Timeout is the time limit of an invocation, as in template.yaml.
const Timeout = 30 * time.Second

// Start serves aws on a free port of host, an address of this machine such as 127.0.0.1, and
// sets up the executable as a function that calls it. env is added to the function's
// environment ("NAME=value"), which otherwise has no default plan and no bus. An error is the
// machine's (no port). Close the sandbox in the end.
func Start(host, executable string, aws *awslocal.Server, env ...string) (*Sandbox, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("serving AWS: %w", err)
	}
	return serve(listener, "http", executable, aws, env...), nil
}

func serve(listener net.Listener, scheme, executable string, aws *awslocal.Server, env ...string) *Sandbox {
	s := &Sandbox{
		AWS:      aws,
		Endpoint: scheme + "://" + listener.Addr().String(),
		server:   &http.Server{Handler: aws, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)},
	}
	go func() { _ = s.server.Serve(listener) }() // ends with Close
	s.Function = &lambdalocal.Function{
		Path:    executable,
		Timeout: Timeout,
		Stdout:  &s.output,
		Stderr:  &s.output,
		Env: append([]string{
			"AWS_REGION=" + awslocal.Region,
			"AWS_ACCESS_KEY_ID=local",
			"AWS_SECRET_ACCESS_KEY=local",
			"AWS_ENDPOINT_URL=" + s.Endpoint,
		}, env...),
	}
	return s
}

// Close ends the function's processes and the server. Its error is always nil.
func (s *Sandbox) Close() error {
	err := s.Function.Close()
	_ = s.server.Close()
	return err
}

// Line is one log line of the function, without its time, level and duration.
type Line struct {
	MessageID  string `json:"messageId"`
	Outcome    string `json:"outcome"`
	CustomerID string `json:"customerId"`
	KeyID      string `json:"keyId"`
	SecretName string `json:"secretName"`
	Reason     string `json:"reason"`
	Code       string `json:"code"`
}

// TakeLines returns the log lines since the last TakeLines, in order, and other lines of
// output, which the function should not write.
func (s *Sandbox) TakeLines() (logged []Line, other []string) {
	scanner := bufio.NewScanner(bytes.NewReader(s.output.take()))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line Line
		if json.Unmarshal(scanner.Bytes(), &line) == nil {
			logged = append(logged, line)
		} else {
			other = append(other, scanner.Text())
		}
	}
	return logged, other
}

// Output returns a copy of the output that was not yet taken.
func (s *Sandbox) Output() []byte {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	return slices.Clone(s.output.text)
}

// lines collects the output of both streams of every environment.
type lines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *lines) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text
	l.text = nil
	return text
}

var _ io.Writer = (*lines)(nil)

// Build compiles the function for this machine into dir, from anywhere inside the module, and
// returns the executable's path. It uses the Makefile's build tag, and takes some seconds if
// Go has not cached the packages.
func Build(dir string) (string, error) {
	path := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-o", path, "createkey/functions/createkey")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the function: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return path, nil
}
